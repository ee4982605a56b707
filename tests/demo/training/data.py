"""Shards of tokenised conversations, and batches of packs made from them.

A shard is NNN.tokens.npy (uint16, all conversations one after another), NNN.mask.npy (uint8, 1: a
token to be learnt), NNN.starts.npy (int64, where each conversation starts, and the end). Optional:
NNN.tasks.npy (uint8, each conversation's task). Conversations with the same first message (the
system message) are packed behind one copy of it: model.py says what a pack is."""
from __future__ import annotations

import glob
import json
import os
import random
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import torch

from model import Batch, Segment

ROWS_MULTIPLE = 128  # learnt rows of a batch are padded to a multiple: products in few sizes
SIBLINGS = 12  # conversations behind one prefix
RECENT = 200  # shards, the highest by number, that are used
LENGTH_MAX = 1000  # longer conversations are left out


class Conversation(NamedTuple):
    tokens: np.ndarray
    mask: np.ndarray
    task: int


Pack = Tuple[int, List[Conversation]]  # rows of the shared prefix, conversations that include it


def load_tokenizer(path: str) -> Dict[str, Any]:
    """tokens, token_type, merges, special (text to id)."""
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def shard_names(folder: str) -> List[str]:
    """Complete shards, in order: starts.npy is written last."""
    names = [
        os.path.basename(path)[: -len(".starts.npy")]
        for path in glob.glob(f"{folder}/*.starts.npy")
    ]
    return sorted(names)


def read_shard(folder: str, name: str, limit: Optional[int] = None) -> List[Conversation]:
    """The conversations of a shard that are short enough."""
    tokens, mask, starts = (
        np.load(f"{folder}/{name}.{part}.npy") for part in ("tokens", "mask", "starts")
    )
    path = f"{folder}/{name}.tasks.npy"
    tasks = np.load(path) if os.path.exists(path) else np.zeros(len(starts) - 1, np.uint8)
    out: List[Conversation] = []
    for i in range(len(starts) - 1 if limit is None else min(limit, len(starts) - 1)):
        part = slice(int(starts[i]), int(starts[i + 1]))
        if part.stop - part.start <= LENGTH_MAX:
            out.append(Conversation(tokens[part], mask[part], int(tasks[i])))
    return out


def make_packs(conversations: List[Conversation], end: int, rng: random.Random) -> List[Pack]:
    """Groups by first message, in random order; end is the id of <|end|>."""
    groups: Dict[bytes, List[Conversation]] = {}
    for talk in conversations:
        stops = np.flatnonzero(talk.tokens == end)
        rows = int(stops[0]) + 1 if len(stops) != 0 else 0
        if talk.mask[: rows + 1].any():
            rows = 0
        groups.setdefault(talk.tokens[:rows].tobytes(), []).append(talk)
    packs: List[Pack] = []
    for key in sorted(groups):
        talks = groups[key]
        rng.shuffle(talks)
        packs += [(len(key) // 2, talks[i : i + SIBLINGS]) for i in range(0, len(talks), SIBLINGS)]
    rng.shuffle(packs)
    return packs


class Builder:
    """Fills a batch of a fixed number of rows; weights: of a task's learnt rows, where not 1."""

    def __init__(self, rows: int, weights: Optional[Dict[int, float]] = None):
        self.room = rows
        self.weights = weights or {}
        self.tokens: List[np.ndarray] = []
        self.positions: List[np.ndarray] = []
        self.segments: List[Segment] = []
        self.rows: List[np.ndarray] = []
        self.labels: List[np.ndarray] = []
        self.tasks: List[np.ndarray] = []
        self.used = 0

    def _put(self, tokens: np.ndarray, prefix_first: int, prefix_rows: int) -> int:
        first = self.used
        self.segments.append(Segment(first, len(tokens), prefix_first, prefix_rows))
        self.tokens.append(tokens)
        self.positions.append(np.arange(prefix_rows, prefix_rows + len(tokens)))
        self.used += len(tokens)
        return first

    def put_pack(self, pack: Pack) -> List[Conversation]:
        """What did not fit comes back."""
        prefix_rows, talks = pack
        if self.used + prefix_rows + len(talks[0].tokens) > self.room:
            return talks
        prefix_first = (
            self._put(talks[0].tokens[:prefix_rows], self.used, 0)
            if prefix_rows != 0
            else self.used
        )
        for i, talk in enumerate(talks):
            body = talk.tokens[prefix_rows:]
            if self.used + len(body) > self.room:
                return talks[i:]
            first = self._put(body, prefix_first, prefix_rows)
            learnt = np.flatnonzero(talk.mask[prefix_rows:])
            learnt = learnt[learnt > 0]
            self.rows.append(first + learnt - 1)
            self.labels.append(body[learnt])
            self.tasks.append(np.full(len(learnt), talk.task))
        return []

    def finish(self) -> Tuple[Batch, np.ndarray]:
        """The batch, padded to its number of rows, and each learnt row's task (-1: padding)."""
        if self.used < self.room:
            self._put(np.zeros(self.room - self.used, np.uint16), self.used, 0)
        rows, labels = np.concatenate(self.rows), np.concatenate(self.labels)
        fill = -len(rows) % ROWS_MULTIPLE
        ints = [
            np.concatenate(self.tokens),
            np.concatenate(self.positions),
            np.concatenate((rows, np.zeros(fill))),
            np.concatenate((labels, np.zeros(fill))),
        ]
        tasks = np.concatenate(self.tasks + [np.full(fill, -1)])
        weights = (tasks >= 0).astype(np.float32)
        for task, weight in self.weights.items():
            weights[tasks == task] = weight
        tokens, positions, row, label = (torch.from_numpy(a.astype(np.int64)) for a in ints)
        return Batch(tokens, positions, self.segments, row, label, torch.from_numpy(weights)), tasks


def batches(
    packs: Iterator[Pack], rows: int, weights: Optional[Dict[int, float]] = None
) -> Iterator[Tuple[Batch, np.ndarray]]:
    """Batches of exactly `rows` rows."""
    builder = Builder(rows, weights)
    for pack in packs:
        left = builder.put_pack(pack)
        while left:
            yield builder.finish()
            builder = Builder(rows, weights)
            left = builder.put_pack((pack[0], left))
    if builder.rows:
        yield builder.finish()


class Source:
    """An endless stream of packs for one of several processes.

    order (shared by the processes, [0] is a count) lists the shards in the order of use, by number;
    a process that needs the next one adds, of the RECENT highest numbers, the least used, of
    these the one used longest ago, of these the highest number: newer shards are better."""

    def __init__(
        self,
        folder: str,
        end: int,
        held: int,
        rank: int,
        ranks: int,
        order: torch.Tensor,
        lock: Any,
        place: torch.Tensor,
    ):
        self.folder, self.end, self.held = folder, end, held
        self.rank, self.ranks, self.order, self.lock, self.place = rank, ranks, order, lock, place

    def _choose(self, names: Dict[int, str]) -> int:
        seen = self.order[1 : int(self.order[0]) + 1].tolist()
        last = {number: i for i, number in enumerate(seen)}
        return min(sorted(names)[-RECENT:], key=lambda n: (seen.count(n), last.get(n, -1), -n))

    def _shard(self, turn: int) -> str:
        """The shard to be used in turn; one that has gone since it was chosen is replaced."""
        with self.lock:
            names = {int(name): name for name in shard_names(self.folder)}
            if turn >= int(self.order[0]):
                self.order[turn + 1] = self._choose(names)
                self.order[0] = turn + 1
            elif int(self.order[turn + 1]) not in names:
                self.order[turn + 1] = self._choose(names)
            return names[int(self.order[turn + 1])]

    def packs(self) -> Iterator[Pack]:
        """From where place [turn, pack] says, which is kept up to date."""
        while True:
            turn, skip = self.place.tolist()
            talks = read_shard(self.folder, self._shard(turn))
            packs = make_packs(talks[self.held :], self.end, random.Random(1000 + turn))[
                self.rank :: self.ranks
            ]
            for i in range(skip, len(packs)):
                self.place[1] = i + 1
                yield packs[i]
            self.place[0], self.place[1] = turn + 1, 0
