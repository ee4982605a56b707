#!/usr/bin/env python3
"""Greedy answers of a checkpoint (or an exported .gguf), in Python, for a quick look.

    sample.py CHECKPOINT TOKENIZER "question"...           answers, as `ossicle run` asks
    sample.py CHECKPOINT TOKENIZER --data DIR [--count N]  finishes the first conversations of the
                                                           newest shard; how many are as written
"""
from __future__ import annotations

import argparse
import collections
from typing import Any, Dict, List, Sequence, Tuple

import torch

import data
import gguf
from export import load_checkpoint
from fast import FastOps
from model import Params, PlainOps, Shape, logits, text_batch

SYSTEM = (
    "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\n\n"
    "Reasoning: {effort}\n\n# Valid channels: analysis, commentary, final. "
    "Channel must be included for every message."
)


def load(path: str) -> Tuple[Shape, Params]:
    """Shape and values of a checkpoint or of a file that export.py wrote."""
    if not path.endswith(".gguf"):
        return load_checkpoint(path)
    keys, values = gguf.read(path)
    part = "gpt-oss."
    shape = Shape(
        vocab=len(keys["tokenizer.ggml.tokens"]),
        layers=keys[part + "block_count"],
        width=keys[part + "embedding_length"],
        heads=keys[part + "attention.head_count"],
        kv_heads=keys[part + "attention.head_count_kv"],
        head_dim=keys[part + "attention.key_length"],
        experts=keys[part + "expert_count"],
        used=keys[part + "expert_used_count"],
        ff=keys[part + "expert_feed_forward_length"],
    )
    return shape, values


def decode(tokenizer: Dict[str, Any], ids: Sequence[int]) -> str:
    """Text of ids, special tokens spelled out."""
    kept = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
    rest = [b for b in range(256) if b not in kept]
    bytes_of = {chr(b): b for b in kept}
    bytes_of.update({chr(256 + i): b for i, b in enumerate(rest)})
    special = set(tokenizer["special"].values())
    out = b""
    for i in ids:
        text = tokenizer["tokens"][i]
        out += text.encode() if i in special else bytes(bytes_of[c] for c in text)
    return out.decode("utf-8", "replace")


def finish(
    values: Params,
    ops: PlainOps,
    prompts: List[List[int]],
    stops: Sequence[int],
    most: int,
    ahead: int = 24,
) -> List[List[int]]:
    """What the model writes after each prompt, with the stop token; `ahead` prompts at a time."""
    out: List[List[int]] = [[] for _ in prompts]
    for first in range(0, len(prompts), ahead):
        live = list(range(first, min(first + ahead, len(prompts))))
        for _ in range(most):
            batch = text_batch([prompts[i] + out[i] for i in live], every=False)
            with torch.no_grad():
                best = logits(values, batch, ops, False)[0].argmax(-1).tolist()
            for i, token in zip(live, best):
                out[i].append(token)
            live = [i for i, token in zip(live, best) if token not in stops]
            if not live:
                break
    return out


def ask(
    values: Params, ops: PlainOps, tokenizer: Dict[str, Any], path: str, o: argparse.Namespace
) -> None:
    from bpe import Tokenizer

    encode, special = Tokenizer.load(path).encode, tokenizer["special"]

    def message(role: str, text: str) -> List[int]:
        return [
            special["<|start|>"],
            *encode(role),
            special["<|message|>"],
            *encode(text),
            special["<|end|>"],
        ]

    system = message("system", SYSTEM.format(effort=o.effort))
    prompts = [
        system + message("user", q) + [special["<|start|>"], *encode("assistant")]
        for q in o.questions
    ]
    stops = [special["<|return|>"], special["<|call|>"]]
    for question, answer in zip(o.questions, finish(values, ops, prompts, stops, o.most)):
        print(f"> {question}\n{decode(tokenizer, answer)}\n")


def held(values: Params, ops: PlainOps, tokenizer: Dict[str, Any], o: argparse.Namespace) -> None:
    special = tokenizer["special"]
    stops = [special["<|return|>"], special["<|call|>"]]
    talks = data.read_shard(o.data, data.shard_names(o.data)[-1], o.count)
    prompts: List[List[int]] = []
    wanted: List[List[int]] = []
    for talk in talks:
        # The last turn: from the last row of the mask's last run that begins a stretch of answers.
        ends = [i for i, t in enumerate(talk.tokens.tolist()) if t in stops and talk.mask[i]]
        last = ends[-1]
        begin = ends[-2] + 1 if len(ends) > 1 else 0
        begin = next(i for i in range(begin, last) if talk.mask[i])
        prompts.append(talk.tokens[:begin].tolist())
        wanted.append(talk.tokens[begin : last + 1].tolist())
    right: Dict[int, List[int]] = collections.defaultdict(lambda: [0, 0])
    for talk, prompt, want, got in zip(
        talks, prompts, wanted, finish(values, ops, prompts, stops, o.most)
    ):
        right[talk.task][0] += got == want
        right[talk.task][1] += 1
        if got != want:
            print(
                f"--- task {talk.task} prompt: {decode(tokenizer, prompt[-60:])}"
                f"\nwant {decode(tokenizer, want)}"
                f"\ngot  {decode(tokenizer, got)}"
            )
    print("the same text, by task:", {task: f"{a}/{b}" for task, (a, b) in sorted(right.items())})


def main() -> None:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("checkpoint")
    p.add_argument("tokenizer")
    p.add_argument("questions", nargs="*")
    p.add_argument("--data", default="")
    p.add_argument("--count", type=int, default=48)
    p.add_argument("--effort", default="medium", choices=("low", "medium", "high"))
    p.add_argument("--most", type=int, default=160, help="tokens of an answer")
    o = p.parse_args()
    torch.set_num_threads(1)
    shape, values = load(o.checkpoint)
    ops = FastOps(shape) if shape.head_dim == 32 else PlainOps(shape)
    tokenizer = data.load_tokenizer(o.tokenizer)
    if o.data:
        held(values, ops, tokenizer, o)
    if o.questions:
        ask(values, ops, tokenizer, o.tokenizer, o)


if __name__ == "__main__":
    main()
