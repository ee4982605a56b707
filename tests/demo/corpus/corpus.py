"""The corpus of the demo model: conversations made by our own grammars, by seed, as token shards.

    python3 tests/demo/corpus/corpus.py --conversations 20000 --tokenizer tokenizer.json --out DIR

Writes DIR/NNN.tokens.npy (uint16, all conversations one after another), DIR/NNN.mask.npy (uint8, 1
where the token is one the model learns to write), DIR/NNN.tasks.npy (uint8, the row of TASKS of
each conversation), DIR/NNN.starts.npy (int64, where each conversation starts, and the end).
"""
import argparse
import array
import os
import struct
import sys
import time
from typing import Callable, Iterator

import task_facts
import task_math
import task_story
import task_talk
import task_tools
import task_turns
import task_units
import task_unknown
import task_words
from bpe import Tokenizer
from grammar import Context
from harmony import Conversation, tokens

Task = Callable[[Context, Conversation], None]
# (share of the conversations, kind, task)
TASKS: list[tuple[float, str, Task]] = [
    (16, "arithmetic", task_math.arithmetic),
    (2.5, "compare", task_math.compare),
    (26, "letters", task_words.letters),
    (14, "facts", task_facts.facts),
    (20, "tools", task_tools.calling),
    (5, "units", task_units.units),
    (12.5, "talk", task_talk.talk),
    (7, "unknown", task_unknown.unknown),
    (1, "story", task_story.story),
    (9, "turns", task_turns.turns),
]
# Kinds that may as well come after turns about something else.
ALONE = ("arithmetic", "compare", "letters", "facts", "units", "unknown", "story")
# The share of these, and of tools, that comes with instructions that have little to do with them.
INSTRUCTED = 0.16
EFFORTS = ("low", "medium", "high")
EFFORT_SHARES = (20, 60, 20)
IDENTITIES = ("You are a helpful assistant.", "You are the assistant of a small board.",
              "You are Ossicle's demo model.", "You are a small language model.")


def opening(ctx: Context, kind: str) -> Conversation:
    """A conversation with its system message; most as `ossicle run` makes it by default."""
    c = Conversation(kind, held=ctx.held, effort=ctx.rng.choices(EFFORTS, EFFORT_SHARES)[0])
    if ctx.chance(0.35):
        c.date = ctx.one(ctx.dates)
    if ctx.chance(0.04):
        c.identity = ctx.one(IDENTITIES)
    return c


def one_conversation(ctx: Context, kind: str) -> Conversation:
    """One conversation of a kind."""
    c = opening(ctx, kind)
    if kind in ALONE + ("tools",) and ctx.chance(0.1):
        for _ in range(ctx.one((1, 1, 2))):
            task_turns.filler(ctx, c)
    if kind in ALONE + ("tools",) and ctx.chance(INSTRUCTED):
        task_talk.instructed(ctx, c, styled=kind in task_talk.STYLED)
    next(task for _, name, task in TASKS if name == kind)(ctx, c)
    task_talk.apply_style(c)
    return c


def conversations(seed: int, count: int, held: bool = False) -> Iterator[Conversation]:
    """count conversations, for training or (held) for held-out questions."""
    ctx = Context(seed, held)
    shares = [share for share, _, _ in TASKS]
    for _ in range(count):
        yield one_conversation(ctx, ctx.rng.choices(TASKS, shares)[0][1])


def save_npy(path: str, values: array.array, kind: str) -> None:
    """One-dimensional .npy, version 1.0; kind is numpy's type text."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({len(values)},), }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open(path + ".part", "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        values.tofile(file)
    os.replace(path + ".part", path)


def write_shard(path: str, made: Iterator[Conversation], tokenizer: Tokenizer) -> tuple[int, int]:
    """One shard; (tokens, tokens to learn). It is whole once starts is there."""
    ids, mask, tasks = array.array("H"), array.array("B"), array.array("B")
    starts = array.array("q", [0])
    numbers = {kind: number for number, (_, kind, _) in enumerate(TASKS)}
    for c in made:
        new_ids, new_mask = tokens(c, tokenizer)
        ids.extend(new_ids)
        mask.extend(new_mask)
        starts.append(len(ids))
        tasks.append(numbers[c.kind])
    save_npy(path + ".tokens.npy", ids, "<u2")
    save_npy(path + ".mask.npy", mask, "|u1")
    save_npy(path + ".tasks.npy", tasks, "|u1")
    save_npy(path + ".starts.npy", starts, "<i8")
    return len(ids), sum(mask)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=20000, help="in all")
    parser.add_argument("--shard", type=int, default=20000, help="conversations a shard")
    parser.add_argument("--first", type=int, default=0, help="number of the first shard")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    if args.seed * 1000 >= 1 << 62 or sys.byteorder != "little":
        raise SystemExit("corpus.py: a smaller seed, and a little-endian machine, please")
    tokenizer = Tokenizer.load(args.tokenizer)
    task_words.use_fragments(tokenizer.tokens)
    os.makedirs(args.out, exist_ok=True)
    done = 0
    number = args.first
    while done < args.conversations:
        count = min(args.shard, args.conversations - done)
        began = time.monotonic()
        path = os.path.join(args.out, f"{number:03d}")
        made = conversations(args.seed * 1000 + number, count)
        total, learnt = write_shard(path, made, tokenizer)
        print(f"{path}: {count} conversations, {total} tokens ({total / count:.1f} each), "
              f"{learnt} to learn, {total / (time.monotonic() - began):.0f} tokens/s", flush=True)
        done += count
        number += 1


if __name__ == "__main__":
    main()
