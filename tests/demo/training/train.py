#!/usr/bin/env python3
"""Trains the demo model: train.py --data DIR --tokenizer FILE --out DIR [--tokens N --decay N].

Starts again from OUT/last.pt when there is one. On a CPU a process per core shares the work (a
batch each, gradients added, the optimiser's tensors divided); on a GPU one process does it all.
Progress is counted in tokens, never in time. The rate rises over --warm tokens, stays, and falls to
zero over the last --decay of --tokens; then training ends. A number written to OUT/decay while it
runs, at any time, makes the rate fall from where it is to zero over so many more tokens. OUT/stop
ends training at once, with a checkpoint. --decay-from FILE --decay N starts a new run at the fall,
from a checkpoint.
"""
from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Dict, List, Optional, TextIO, Tuple

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.multiprocessing as mp

import data
import optim
from fast import FastOps
from model import Batch, Params, PlainOps, Shape, init_params, loss
from quant import round_into

BALANCE = 0.01  # weight of the load-balancing term
CLIP = 1.0  # of the norm of AdamW's gradients; Muon's directions have a fixed size


def options() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--data", required=True, help="folder of shards")
    p.add_argument("--tokenizer", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--tokens", type=float, default=0, help="rows to train on in all")
    p.add_argument(
        "--decay", type=float, default=0, help="of these, rows over which the rate falls"
    )
    p.add_argument("--decay-from", default="", help="checkpoint to start from, the fall at once")
    p.add_argument(
        "--minutes", type=float, default=0, help="stop after this much time, with a checkpoint"
    )
    p.add_argument("--warm", type=float, default=1e6)
    p.add_argument("--rows", type=int, default=4096, help="of a batch")
    p.add_argument("--batches", type=int, default=2, help="a step and a process")
    p.add_argument("--processes", type=int, default=os.cpu_count())
    p.add_argument(
        "--held", type=int, default=200, help="first conversations of a shard kept for evaluation"
    )
    p.add_argument("--save-seconds", type=float, default=300)
    p.add_argument("--eval-steps", type=int, default=200)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument(
        "--task-weights", default="{}", help="JSON: weight of a task's tokens, where not 1"
    )
    p.add_argument("--eight-bits", action="store_true", help="activations as in llama.cpp, too")
    p.add_argument("--plain", action="store_true", help="the plain operations on a CPU, too: slow")
    p.add_argument("--shape", default="{}", help="JSON: fields of model.Shape")
    p.add_argument("--rates", default="{}", help="JSON: fields of optim.Rates")
    return p.parse_args()


class Shared:
    """What the processes have in common; tensors lie in shared memory.

    masters are trained; values are what the file would hold of them, and what the model uses.
    progress: step, rows so far, where the rate began to fall (it may be below 0, when the fall was
    stretched), over how many rows (0: it does not fall yet)."""

    def __init__(self, o: argparse.Namespace, shape: Shape, ranks: int):
        self.shape, self.ranks = shape, ranks
        self.masters: Params = init_params(shape, o.seed)
        self.values: Params = {name: round_into(name, t) for name, t in self.masters.items()}
        self.state = optim.make_state(self.masters)
        self.grads = [
            {name: torch.zeros_like(t) for name, t in self.masters.items()} for _ in range(ranks)
        ]
        self.progress = torch.zeros(4, dtype=torch.float64)
        self.order = torch.zeros(100000, dtype=torch.int64)
        self.places = torch.zeros(ranks, 2, dtype=torch.int64)
        self.sums = torch.zeros(
            ranks, 4, dtype=torch.float64
        )  # loss, learnt rows, balance, norm squared
        self.stop = torch.zeros(1)
        self.decay = o.decay
        for group in (self.masters, self.values, self.state, *self.grads):
            for t in group.values():
                t.share_memory_()
        for t in (self.progress, self.order, self.places, self.sums, self.stop):
            t.share_memory_()
        self.owned = optim.share_out(self.masters, ranks)

    def load(self, path: str, decay_now: bool) -> None:
        saved = torch.load(path, map_location="cpu")
        for mine, theirs in ((self.masters, saved["masters"]), (self.state, saved["state"])):
            for name, t in mine.items():
                t.copy_(theirs[name])
        for name, t in self.values.items():
            round_into(name, self.masters[name], t)
        self.progress.copy_(saved["progress"])
        self.order[: len(saved["order"])] = saved["order"]
        if saved["places"].shape == self.places.shape:
            self.places.copy_(saved["places"])
        else:
            self.places[:, 0] = saved["places"][:, 0].max() + 1
        if decay_now:
            self.progress[2], self.progress[3] = self.progress[1], self.decay

    def save(self, path: str) -> None:
        count = int(self.order[0]) + 1
        body = {
            "shape": self.shape.as_dict(),
            "masters": self.masters,
            "state": self.state,
            "progress": self.progress,
            "order": self.order[:count].clone(),
            "places": self.places,
        }
        torch.save(body, path + ".part")
        os.replace(path + ".part", path)

    def factor(self, warm: float) -> float:
        """The schedule's part of the rates, 0 at the end."""
        _, rows, begin, over = self.progress.tolist()
        up = min(1.0, (rows + 1) / warm) if warm > 0 else 1.0
        return up if over == 0 else min(up, max(0.0, 1 - (rows - begin) / over))


class Worker:
    """One process's part of training."""

    def __init__(
        self, o: argparse.Namespace, shared: Shared, rank: int, meet: Any, lock: Any, device: str
    ):
        self.o, self.shared, self.rank, self.meet, self.device = o, shared, rank, meet, device
        if o.plain or device != "cpu":
            self.ops: PlainOps = PlainOps(shared.shape)
        else:
            self.ops = FastOps(shared.shape, eight_bits=o.eight_bits)
        self.rates = optim.Rates()
        for key, value in json.loads(o.rates).items():
            setattr(self.rates, key, value)
        self.end = data.load_tokenizer(o.tokenizer)["special"]["<|end|>"]
        source = data.Source(
            o.data, self.end, o.held, rank, shared.ranks, shared.order, lock, shared.places[rank]
        )
        weights = {int(task): weight for task, weight in json.loads(o.task_weights).items()}
        self.batches = data.batches(source.packs(), o.rows, weights)
        self.leaves = {name: t.to(device).detach() for name, t in shared.values.items()}
        for t in self.leaves.values():
            t.requires_grad_(True)

    def _to_device(self, batch: Batch) -> Batch:
        return (
            batch
            if self.device == "cpu"
            else Batch(*(t.to(self.device) if isinstance(t, torch.Tensor) else t for t in batch))
        )

    def gradients(self, step: int) -> None:
        """Adds up this process's batches of a step into its shared gradients and sums."""
        sums = torch.zeros(4, dtype=torch.float64)
        for t in self.leaves.values():
            t.grad = None
        parts = self.o.batches * self.shared.ranks
        for i in range(self.o.batches):
            batch, _ = next(self.batches)
            batch = self._to_device(batch)
            count = float(batch.weights.sum())
            total, balance = loss(
                self.leaves, batch, self.ops, rounded=(step + i + self.rank) % 2 == 1
            )
            ((total / count + BALANCE * balance) / parts).backward()
            sums += torch.tensor([float(total), count, float(balance), 0.0], dtype=torch.float64)
        for name, t in self.leaves.items():
            self.shared.grads[self.rank][name].copy_(t.grad)
        self.shared.sums[self.rank] = sums

    def optimise(self, step: int, factor: float) -> None:
        """The update of the tensors this process owns, and their rounded values."""
        names = self.shared.owned[self.rank]
        grads = {
            name: sum((g[name] for g in self.shared.grads[1:]), self.shared.grads[0][name])
            for name in names
        }
        self.shared.sums[self.rank, 3] = sum(
            float(g.square().sum()) for name, g in grads.items() if not optim.is_matrix(name)
        )
        self.meet.wait()
        norm = float(self.shared.sums[:, 3].sum()) ** 0.5
        clip = min(1.0, CLIP / (norm + 1e-6))
        for name in names:
            grad = grads[name] if optim.is_matrix(name) else grads[name] * clip
            optim.update(
                name, self.shared.masters[name], grad, self.shared.state, step, factor, self.rates
            )
            round_into(name, self.shared.masters[name], self.shared.values[name])
        self.meet.wait()
        if self.device != "cpu":
            for name, t in self.leaves.items():
                t.data.copy_(self.shared.values[name])

    def evaluate(self, limit: int) -> Tuple[float, Dict[int, float]]:
        """Mean loss a token on the newest shard's held-out conversations, and by task."""
        names = data.shard_names(self.o.data)
        talks = data.read_shard(self.o.data, names[-1], self.o.held)[:limit]
        packs = data.make_packs(talks, self.end, data.random.Random(1))
        sums: Dict[int, List[float]] = {}
        with torch.no_grad():
            for batch, tasks in data.batches(iter(packs), self.o.rows):
                loss(self.leaves, self._to_device(batch), self.ops, rounded=False)
                each = self.ops.each.tolist()
                for task, value in zip(tasks.tolist(), each):
                    if task >= 0:
                        entry = sums.setdefault(task, [0.0, 0.0])
                        entry[0] += value
                        entry[1] += 1
        whole = [sum(part) for part in zip(*sums.values())]
        return whole[0] / whole[1], {task: a / b for task, (a, b) in sorted(sums.items())}


def say(log: TextIO, text: str) -> None:
    for out in (log, sys.stdout):
        out.write(text + "\n")
        out.flush()


def watch(o: argparse.Namespace, shared: Shared, began: float) -> None:
    """Rank 0, between steps: whether the fall begins, whether training is over."""
    _, rows, begin, over = shared.progress.tolist()
    path = os.path.join(o.out, "decay")
    if os.path.exists(path):
        with open(path) as file:
            left = float(file.read())
        os.remove(path)
        now = 1.0 if over == 0 else max(1 - (rows - begin) / over, 1e-3)
        shared.progress[3] = left / now
        shared.progress[2] = rows - (1 - now) * left / now
    elif over == 0 and o.tokens > 0 and rows >= o.tokens - o.decay:
        shared.progress[2], shared.progress[3] = rows, o.decay
    over_time = o.minutes > 0 and time.monotonic() - began > 60 * o.minutes
    path = os.path.join(o.out, "stop")
    if os.path.exists(path):
        os.remove(path)
        over_time = True
    if over_time or (over > 0 and rows >= begin + over):
        shared.stop[0] = 1


def report(
    o: argparse.Namespace, shared: Shared, worker: Worker, log: TextIO, state: Dict[str, float]
) -> None:
    """Rank 0, every few steps: the log, the evaluation, the checkpoint."""
    step, rows = (int(v) for v in shared.progress[:2].tolist())
    state["loss"] += float(shared.sums[:, 0].sum())
    state["count"] += float(shared.sums[:, 1].sum())
    ending = bool(shared.stop[0])
    if step % 20 == 0 or ending:
        now, cpu = time.monotonic(), time.process_time()
        say(
            log,
            f"step {step} rows {rows / 1e6:.2f}M loss {state['loss'] / max(state['count'], 1):.4f} "
            f"balance "
            f"{float(shared.sums[:, 2].sum()) / shared.ranks / o.batches:.3f} norm "
            f"{float(shared.sums[:, 3].sum()) ** 0.5:.3f} rate {shared.factor(o.warm):.3f} "
            f"rows/s {(rows - state['rows']) / (now - state['time']):.0f} "
            f"by CPU {(rows - state['rows']) / (cpu - state['cpu']):.0f} "
            f"shards {int(shared.order[0])}",
        )
        state.update(loss=0.0, count=0.0, time=now, cpu=cpu, rows=rows)
    if step % o.eval_steps == 0 or ending:
        mean, tasks = worker.evaluate(o.held)
        say(
            log,
            f"eval step {step} rows {rows / 1e6:.2f}M loss {mean:.4f} by task "
            + " ".join(f"{task}:{value:.4f}" for task, value in tasks.items()),
        )
    if time.monotonic() - state["saved"] > o.save_seconds or ending:
        shared.save(os.path.join(o.out, "last.pt"))
        state["saved"] = time.monotonic()


def work(
    rank: int, o: argparse.Namespace, shared: Shared, meet: Any, lock: Any, device: str
) -> None:
    """One process until the end."""
    torch.set_num_threads(1 if device == "cpu" else 4)
    worker = Worker(o, shared, rank, meet, lock, device)
    began = time.monotonic()
    state = {
        "loss": 0.0,
        "count": 0.0,
        "time": began,
        "saved": began,
        "cpu": time.process_time(),
        "rows": float(shared.progress[1]),
    }
    log: Optional[TextIO] = open(os.path.join(o.out, "log.txt"), "a") if rank == 0 else None
    while not shared.stop[0]:
        step = int(shared.progress[0]) + 1
        worker.gradients(step)
        meet.wait()
        worker.optimise(step, shared.factor(o.warm))
        if log is not None:
            shared.progress[0] = step
            shared.progress[1] += o.rows * o.batches * shared.ranks
            watch(o, shared, began)
            report(o, shared, worker, log, state)
        meet.wait()


def main() -> None:
    o = options()
    os.makedirs(o.out, exist_ok=True)
    tokenizer = data.load_tokenizer(o.tokenizer)
    shape = Shape(**{"vocab": len(tokenizer["tokens"]), **json.loads(o.shape)})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ranks = 1 if device == "cuda" else o.processes
    torch.set_num_threads(1)
    shared = Shared(o, shape, ranks)
    last = os.path.join(o.out, "last.pt")
    if os.path.exists(last):
        shared.load(last, False)
    elif o.decay_from:
        shared.load(o.decay_from, True)
    with open(os.path.join(o.out, "shape.json"), "w") as file:
        json.dump(shape.as_dict(), file, indent=1)
    context = mp.get_context("fork")
    meet, lock = context.Barrier(ranks), context.Lock()
    others = [
        context.Process(target=work, args=(r, o, shared, meet, lock, device), daemon=True)
        for r in range(1, ranks)
    ]
    for process in others:
        process.start()
    work(0, o, shared, meet, lock, device)
    for process in others:
        process.join()


if __name__ == "__main__":
    main()
