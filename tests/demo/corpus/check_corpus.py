"""Checks the corpus: the sums in it are right, calls fit their tools, nothing held out is in it.

    python3 tests/demo/corpus/check_corpus.py --tokenizer tokenizer.json [--conversations 20000]

Prints a row a kind: how many conversations, tokens each, tokens to learn each.
"""
import argparse
import collections
import json
import os
import re
from typing import Any

import task_words
from bpe import Tokenizer
from corpus import conversations
from harmony import Conversation, asked, tokens

STEP = re.compile(r"(?<![\d.+*/-])(\d+(?:[+*/-]\d+)+)=(-?\d+)(?![\d.])")
HERE = os.path.dirname(os.path.abspath(__file__))


def check_steps(c: Conversation) -> int:
    """Every step of a sum in what the model is to write is true; returns how many there were."""
    count = 0
    for m in c.messages:
        for left, right in STEP.findall(m.content) if m.learn else ():
            terms = re.sub(r"\b0+(?=\d)", "", left)
            if eval(terms) != int(right):  # digits and signs alone, by the pattern
                raise SystemExit(f"{left}={right} is wrong in: {m.content}")
            count += 1
    return count


def check_calls(c: Conversation) -> int:
    """Every call names a tool that is there, with arguments of its types; returns how many."""
    tools = {"functions." + tool["name"]: tool.get("parameters", {}) for tool in c.tools}
    kinds = {"string": str, "boolean": bool, "number": (int, float), "integer": int}
    count = 0
    for m in c.messages:
        if m.role != "assistant" or m.recipient is None:
            continue
        schema = tools[m.recipient]
        arguments = json.loads(m.content)
        assert sorted(arguments) == sorted(schema.get("required", [])), m.content
        for key, value in arguments.items():
            wanted = schema["properties"][key]
            assert isinstance(value, kinds[wanted["type"]]), m.content
            assert value in wanted.get("enum", [value]), m.content
        count += 1
    return count


def as_asked(question: dict[str, Any]) -> str:
    """harmony.asked of a question."""
    c = Conversation(question["kind"], instructions=question["instructions"])
    for turn in question["turns"]:
        c.user(turn["user"])
    return asked(c)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--conversations", type=int, default=20000)
    args = parser.parse_args()
    tokenizer = Tokenizer.load(args.tokenizer)
    task_words.use_fragments(tokenizer.tokens)
    with open(os.path.join(HERE, "..", "questions.json"), encoding="utf-8") as file:
        held = {as_asked(q): q["id"] for q in json.load(file)}
    rows: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    steps = calls = 0
    leaks: set[int] = set()
    for c in conversations(args.seed, args.conversations):
        steps += check_steps(c)
        calls += check_calls(c)
        text = asked(c)
        if text in held:
            leaks.add(held[text])
        ids, mask = tokens(c, tokenizer)
        for name in (c.kind, "all"):
            rows[name].update({"count": 1, "tokens": len(ids), "learn": sum(mask)})
    print(f"{'kind':12} {'count':>7} {'tokens':>7} {'learnt':>7}")
    for name, row in sorted(rows.items(), key=lambda item: -item[1]["count"]):
        print(f"{name:12} {row['count']:7} {row['tokens'] / row['count']:7.1f} "
              f"{row['learn'] / row['count']:7.1f}")
    print(f"{steps} steps of sums and {calls} calls are right")
    if leaks:
        raise SystemExit(f"held-out questions in the corpus: {sorted(leaks)}")
    print(f"none of the {len(held)} held-out questions is in it")


if __name__ == "__main__":
    main()
