r"""Checks that conversations are rendered as the engine renders them.

    python3 tests/demo/corpus/check_render.py --ossicle build/release/ossicle \
        [--model demo.gguf --tokenizer tokenizer.json]

Each prompt at which the model is to write something goes through `ossicle harmony render`; the text
must be the same. With --model also the ids, by `ossicle tokenize --specials` against our encoder.
"""
import argparse
import json
import subprocess
from typing import Any, Iterator

from bpe import Tokenizer
from corpus import conversations
from harmony import Conversation, Message, pieces, plain


def request(c: Conversation, messages: list[Message]) -> dict[str, Any]:
    """The conversation so far as the request that `ossicle harmony render` reads."""
    out: dict[str, Any] = {
        "model_identity": c.identity, "knowledge_cutoff": c.cutoff, "reasoning_effort": c.effort,
        "messages": [], "tools": [{"type": "function", "function": tool} for tool in c.tools]}
    if c.date:
        out["current_date"] = c.date
    if c.instructions is not None:
        out["instructions"] = c.instructions
    for m in messages:
        entry = {"role": m.role, "content": plain(m.content)}
        for key in ("channel", "recipient", "name"):
            if getattr(m, key) is not None:
                entry[key] = getattr(m, key)
        if m.role == "assistant" and m.recipient is not None:
            entry["content_type"] = "<|constrain|>json"
        out["messages"].append(entry)
    return out


def prompts(c: Conversation) -> Iterator[tuple[dict[str, Any], str]]:
    """(request, our text) for each place where the model begins to write."""
    for index, m in enumerate(c.messages):
        if m.learn and not (index > 0 and c.messages[index - 1].learn
                            and c.messages[index - 1].role == "assistant"):
            text = ""
            before = Conversation(**{**vars(c), "messages": c.messages[:index + 1]})
            parts = [plain(part) for part, _, _ in pieces(before)]
            start = len(parts) - 1 - parts[::-1].index("<|start|>")
            text = "".join(parts[:start]) + "<|start|>assistant"
            yield request(c, c.messages[:index]), text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ossicle", required=True)
    parser.add_argument("--model")
    parser.add_argument("--tokenizer")
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--conversations", type=int, default=300)
    args = parser.parse_args()
    count = 0
    texts = []
    for c in conversations(args.seed, args.conversations):
        for wanted, text in prompts(c):
            made = subprocess.run([args.ossicle, "harmony", "render"],
                                  input=json.dumps(wanted).encode(),
                                  capture_output=True, check=True).stdout.decode()
            if made != text:
                raise SystemExit(f"the engine renders:\n{made}\n\nwe render:\n{text}")
            texts.append(text)
            count += 1
    print(f"{args.conversations} conversations, {count} prompts: all the same text")
    if args.model:
        tokenizer = Tokenizer.load(args.tokenizer)
        made = json.loads(subprocess.run(
            [args.ossicle, "tokenize", "-m", args.model, "--json", "--specials"],
            input=json.dumps(texts).encode(), capture_output=True, check=True).stdout)
        for text, ids in zip(texts, made):
            if ids != tokenizer.encode_prompt(text):
                raise SystemExit(f"the ids differ:\n{text}\n{ids}\n{tokenizer.encode_prompt(text)}")
        print(f"{len(texts)} prompts: all the same ids")


if __name__ == "__main__":
    main()
