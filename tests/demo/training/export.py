#!/usr/bin/env python3
"""Writes a checkpoint as GGUF and checks it: export.py CHECKPOINT TOKENIZER OUT.gguf
[--ossicle PROGRAM]. The file is read back; its values must equal, bit for bit, those that training
computed with, and so must its logits. With --ossicle, they are compared with the program's."""
from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Tuple

import torch

import data
import gguf
from gguf import ARRAY, F32, I32, STRING, U32, Key
from model import Params, PlainOps, Shape, init_params, logits, shapes, text_batch
from quant import round_into

HERE = os.path.dirname(os.path.abspath(__file__))
BYTES_MAX = 4_000_000
FILE_TYPE_MXFP4_MOE = 38
SCORE_ROUNDING = 0.35  # of a log-probability; the runtime multiplies activations in 16 and 8 bits


def load_checkpoint(path: str, mean_with: str = "") -> Tuple[Shape, Params]:
    """The shape, and the values that the file is to hold; "random" for a path: untrained.

    mean_with: another checkpoint of the run; what is rounded is the mean of the two."""
    if path.startswith("random"):
        shape = Shape(**json.loads(path[len("random") :] or "{}"))
        masters = init_params(shape, 1)
    else:
        saved = torch.load(path, map_location="cpu")
        shape, masters = Shape(**saved["shape"]), saved["masters"]
    if mean_with:
        other = torch.load(mean_with, map_location="cpu")["masters"]
        masters = {name: 0.5 * t + 0.5 * other[name] for name, t in masters.items()}
    return shape, {name: round_into(name, masters[name]) for name in shapes(shape)}


def keys_of(shape: Shape, tokenizer: Dict[str, Any]) -> List[Key]:
    """Those of formats.md 6.2, in that order, and the sampling default: the best token always."""
    with open(os.path.join(HERE, "chat_template.jinja"), encoding="utf-8") as file:
        template = file.read()
    special = tokenizer["special"]
    a = "gpt-oss."
    return [
        ("general.architecture", (STRING, "gpt-oss")),
        ("general.type", (STRING, "model")),
        ("general.name", (STRING, "Ossicle demo")),
        ("general.basename", (STRING, "ossicle-demo")),
        (
            "general.size_label",
            (STRING, f"{sum(_count(d) for d in shapes(shape).values()) / 1e6:.1f}M"),
        ),
        ("general.license", (STRING, "apache-2.0")),
        ("general.tags", (ARRAY, (STRING, ["text-generation"]))),
        ("general.sampling.temp", (F32, 0.0)),
        (a + "block_count", (U32, shape.layers)),
        (a + "context_length", (U32, shape.context)),
        (a + "embedding_length", (U32, shape.width)),
        (a + "feed_forward_length", (U32, shape.ff)),
        (a + "attention.head_count", (U32, shape.heads)),
        (a + "attention.head_count_kv", (U32, shape.kv_heads)),
        (a + "rope.freq_base", (F32, shape.theta)),
        (a + "attention.layer_norm_rms_epsilon", (F32, shape.eps)),
        (a + "expert_count", (U32, shape.experts)),
        (a + "expert_used_count", (U32, shape.used)),
        (a + "attention.key_length", (U32, shape.head_dim)),
        (a + "attention.value_length", (U32, shape.head_dim)),
        (a + "attention.sliding_window", (U32, shape.window)),
        (a + "expert_feed_forward_length", (U32, shape.ff)),
        (a + "rope.scaling.type", (STRING, "yarn")),
        (a + "rope.scaling.factor", (F32, shape.factor)),
        (a + "rope.scaling.original_context_length", (U32, shape.original)),
        ("tokenizer.ggml.model", (STRING, "gpt2")),
        ("tokenizer.ggml.pre", (STRING, "gpt-4o")),
        ("tokenizer.ggml.tokens", (ARRAY, (STRING, tokenizer["tokens"]))),
        ("tokenizer.ggml.token_type", (ARRAY, (I32, tokenizer["token_type"]))),
        ("tokenizer.ggml.merges", (ARRAY, (STRING, tokenizer["merges"]))),
        ("tokenizer.ggml.bos_token_id", (U32, special["<|startoftext|>"])),
        ("tokenizer.ggml.eos_token_id", (U32, special["<|return|>"])),
        ("tokenizer.ggml.padding_token_id", (U32, special["<|endoftext|>"])),
        ("tokenizer.chat_template", (STRING, template)),
        ("general.quantization_version", (U32, 2)),
        ("general.file_type", (U32, FILE_TYPE_MXFP4_MOE)),
    ]


def _count(dims: Tuple[int, ...]) -> int:
    out = 1
    for d in dims:
        out *= d
    return out


def probes(shape: Shape, tokenizer: Dict[str, Any], folder: str) -> List[List[int]]:
    """Token lists to compare logits on: held-out conversations up to lengths past the window."""
    names = data.shard_names(folder) if folder else []
    if names:
        talks = data.read_shard(folder, names[-1], 200)
        talks.sort(key=lambda talk: len(talk.tokens))
        picked = [talks[i] for i in (0, len(talks) // 2, len(talks) - 1)]
        return [talk.tokens.tolist() for talk in picked]
    generator = torch.Generator().manual_seed(3)
    last = min(tokenizer["special"].values())
    return [torch.randint(0, last, (n,), generator=generator).tolist() for n in (5, 60, 200)]


def compare_program(
    program: str, path: str, values: Params, shape: Shape, texts: List[List[int]]
) -> float:
    """The largest difference of ours and `ossicle score`'s best log-probabilities after texts."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as ids:
        json.dump(texts, ids)
        ids.flush()
        out = subprocess.run(
            [
                program,
                "score",
                "-m",
                path,
                "--ids",
                ids.name,
                "--top",
                "20",
                "--json",
                "--device",
                "cpu",
            ],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    with torch.no_grad():
        ours, _ = logits(
            values, text_batch(texts, every=False), PlainOps(shape, 4096), rounded=False
        )
    worst = 0.0
    for row, prompt in zip(torch.log_softmax(ours, -1), json.loads(out)["prompts"]):
        for token, logprob in prompt["top"]:
            worst = max(worst, abs(float(row[token]) - logprob) if logprob > -12 else 0.0)
    return worst


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("checkpoint")
    p.add_argument("tokenizer")
    p.add_argument("out")
    p.add_argument("--mean-with", default="", help="another checkpoint of the run")
    p.add_argument("--ossicle", default="")
    p.add_argument("--data", default="", help="folder of shards, for texts to compare on")
    o = p.parse_args()
    tokenizer = data.load_tokenizer(o.tokenizer)
    shape, values = load_checkpoint(o.checkpoint, o.mean_with)
    assert shape.vocab == len(
        tokenizer["tokens"]
    ), "the checkpoint was trained with another tokenizer"
    gguf.write(o.out, keys_of(shape, tokenizer), values)
    size = os.path.getsize(o.out)
    keys, back = gguf.read(o.out)
    assert list(back) == list(values) and keys["gpt-oss.expert_used_count"] == shape.used
    for name, tensor in values.items():
        assert torch.equal(tensor, back[name]), f"{name}: the file does not hold what was trained"
    texts = probes(shape, tokenizer, o.data)
    with torch.no_grad():
        sides = [
            logits(p, text_batch(texts), PlainOps(shape, 4096), False)[0] for p in (values, back)
        ]
    assert torch.equal(*sides)
    print(f"{o.out}: {size} bytes, {len(values)} tensors, equal to the checkpoint")
    if size > BYTES_MAX:
        sys.exit(f"more than {BYTES_MAX} bytes")
    if o.ossicle:
        worst = compare_program(o.ossicle, o.out, values, shape, texts)
        print(f"largest difference of a log-probability in ossicle score: {worst:.4f}")
        if worst > SCORE_ROUNDING:
            sys.exit("too large")


if __name__ == "__main__":
    main()
