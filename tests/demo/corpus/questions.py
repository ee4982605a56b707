"""200 held-out questions: wordings, numbers and words that the training conversations never have.

    python3 tests/demo/corpus/questions.py [SEED] > tests/demo/questions.json

Each: id, kind, effort, identity, date, instructions (null: not given), tools (as in
chat-completions), turns ([{user, results}]: results answer the calls of the turn, in their order),
expect: all (texts the last answer must contain, every one), any (of which it must contain one),
calls (what the last turn must call, in order, with these arguments; absent: not looked at, empty:
no call).
"""
import json
import re
import sys
from typing import Any

from corpus import conversations, one_conversation
from grammar import Context
from harmony import IDENTITY, Conversation, asked, plain

COUNTS = (("arithmetic", 46), ("compare", 4), ("letters", 30), ("facts", 40), ("tools", 30),
          ("units", 15),
          ("talk", 10), ("unknown", 15), ("turns", 10))
MANNERS = set("please thanks hi hello hey ok so now quick question tell me".split())
SEED = 30_000_000
TRAINED = 50_000  # conversations to compare with, for short texts that differ in their marks alone


def question(number: int, c: Conversation) -> dict[str, Any]:
    """A held-out conversation as a question."""
    turns: list[dict[str, Any]] = []
    for m in c.messages:
        if m.role == "user":
            turns.append({"user": plain(m.content), "results": []})
        elif m.role == "tool":
            turns[-1]["results"].append(m.content)
    return {"id": number, "kind": c.kind, "effort": c.effort,
            "identity": None if c.identity == IDENTITY else c.identity, "date": c.date,
            "instructions": c.instructions,
            "tools": [{"type": "function", "function": tool} for tool in c.tools],
            "turns": turns, "expect": c.expect}


def key(c: Conversation) -> str:
    """What makes two questions the same: their words but for the manners, the last turn's."""
    text = [m.content for m in c.messages if m.role == "user"][-1].lower()
    return " ".join(word for word in re.findall(r"[\w/*+=-]+", text) if word not in MANNERS)


def main() -> None:
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else SEED
    ctx = Context(seed, held=True)
    trained = {asked(c) for c in conversations(seed, TRAINED)}
    out = []
    for kind, count in COUNTS:
        seen: set[str] = set()
        facts: set[str] = set()
        while len(seen) < count:
            c = one_conversation(ctx, kind)
            fact = json.dumps(c.expect) if kind in ("facts", "units") else ""
            if key(c) in seen or fact in facts and fact or asked(c) in trained:
                continue
            seen.add(key(c))
            facts.add(fact)
            out.append(question(len(out) + 1, c))
    json.dump(out, sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
