"""The four operations of model.PlainOps on a CPU with bfloat16 products: PyTorch's matrix products,
and our own C for the rest, compiled at first use. One thread; training runs a process per core."""
from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from typing import Any, List, Tuple

import torch

from model import Batch, PlainOps, Shape

HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = [
    "-O3",
    "-march=native",
    "-mprefer-vector-width=512",
    "-ffast-math",
    "-std=c11",
    "-D_GNU_SOURCE",
    "-shared",
    "-fPIC",
]
SOURCES = ["fast.h", "fast_attend.c", "fast_rows.c"]
BF16 = torch.bfloat16
SLOTS = 64  # an expert's rows are padded to a multiple, so that products come in few sizes


class AttendShape(ctypes.Structure):
    _fields_ = [
        ("heads", ctypes.c_int32),
        ("kv_heads", ctypes.c_int32),
        ("window", ctypes.c_int32),
        ("rows", ctypes.c_int32),
        ("segments", ctypes.c_void_p),
        ("count", ctypes.c_int32),
        ("keys_max", ctypes.c_int32),
        ("positions", ctypes.c_void_p),
        ("cos", ctypes.c_void_p),
        ("sin", ctypes.c_void_p),
    ]


def build() -> ctypes.CDLL:
    """Compiles SOURCES into a folder for temporary files, once for each text of them."""
    tag = hashlib.sha256(" ".join(FLAGS).encode())
    for name in SOURCES:
        with open(os.path.join(HERE, name), "rb") as file:
            tag.update(file.read())
    folder = os.path.join(tempfile.gettempdir(), f"ossicle-demo-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    library = os.path.join(folder, f"fast-{tag.hexdigest()[:16]}.so")
    if not os.path.exists(library):
        part = f"{library}.{os.getpid()}"
        sources = [os.path.join(HERE, name) for name in SOURCES if name.endswith(".c")]
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *FLAGS, "-o", part, *sources, "-lm"], check=True)
        os.replace(part, library)
    lib = ctypes.CDLL(library)
    lib.attend_scratch.restype = ctypes.c_long
    lib.loss_and_grad.restype = ctypes.c_double
    return lib


def call(function: Any, *args: Any) -> Any:
    """Tensors go as pointers (they must be contiguous), floats as float, others as long."""
    out: List[Any] = []
    for a in args:
        if isinstance(a, torch.Tensor):
            assert a.is_contiguous()
            out.append(ctypes.c_void_p(a.data_ptr()))
        elif isinstance(a, float):
            out.append(ctypes.c_float(a))
        elif isinstance(a, int):
            out.append(ctypes.c_long(a))
        else:
            out.append(a)
    return function(*out)


class Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, gain: torch.Tensor, ops: "FastOps") -> torch.Tensor:
        y = torch.empty(x.shape, dtype=BF16)
        root = torch.empty(len(x))
        call(ops.lib.norm_forward, x, gain, y, root, len(x), x.shape[1], ops.shape.eps)
        ops.round_rows(y)
        ctx.save_for_backward(x, gain, root)
        ctx.ops = ops
        return y

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Tuple[Any, ...]:
        x, gain, root = ctx.saved_tensors
        dx, dgain = torch.empty_like(x), torch.zeros_like(gain)
        call(
            ctx.ops.lib.norm_backward,
            x,
            gain,
            root,
            grad.contiguous(),
            dx,
            dgain,
            len(x),
            x.shape[1],
        )
        return dx, dgain, None


class Attend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv: torch.Tensor,
        sinks: torch.Tensor,
        batch: Batch,
        windowed: bool,
        rounded: bool,
        ops: "FastOps",
    ) -> torch.Tensor:
        s, rows = ops.shape, len(qkv)
        keep = (
            torch.tensor(batch.segments, dtype=torch.int32),
            batch.positions.to(torch.int32),
            *ops.tables[rounded],
        )
        keys_max = max(part.rows + part.prefix_rows for part in batch.segments)
        how = AttendShape(
            s.heads,
            s.kv_heads,
            s.window if windowed else 0,
            rows,
            keep[0].data_ptr(),
            len(batch.segments),
            keys_max,
            *(t.data_ptr() for t in keep[1:]),
        )
        out = torch.empty(rows, s.heads * s.head_dim, dtype=BF16)
        lse = torch.empty(s.heads, rows)
        scratch = ops.scratch(ops.lib.attend_scratch(s.heads, s.kv_heads, rows, keys_max))
        call(ops.lib.attend_forward, ctypes.byref(how), qkv, sinks, out, lse, scratch)
        ops.round_rows(out)
        ctx.save_for_backward(qkv, sinks, out, lse)
        ctx.more = (how, keep, ops, keys_max)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Tuple[Any, ...]:
        qkv, sinks, out, lse = ctx.saved_tensors
        how, _, ops, keys_max = ctx.more
        s = ops.shape
        dqkv, dsinks, delta = torch.empty_like(qkv), torch.empty_like(sinks), torch.empty_like(lse)
        scratch = ops.scratch(ops.lib.attend_scratch(s.heads, s.kv_heads, len(qkv), keys_max))
        call(
            ops.lib.attend_backward,
            ctypes.byref(how),
            qkv,
            sinks,
            out,
            lse,
            grad.contiguous(),
            delta,
            dqkv,
            dsinks,
            scratch,
        )
        return dqkv, dsinks, None, None, None, None


def plan_slots(
    chosen: torch.Tensor, experts: int
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor, List[int]]:
    """Where each choice goes: slot [rows][used], the row of each slot (-1: padding), the expert of
    each slot, and the experts' bounds [experts + 1]; an expert's slots lie side by side."""
    flat = chosen.flatten()
    order = torch.argsort(flat)
    counts = torch.bincount(flat, minlength=experts)
    room = (counts + SLOTS - 1) // SLOTS * SLOTS
    bounds = torch.cat((torch.zeros(1, dtype=torch.int64), room.cumsum(0)))
    shift = bounds[:-1] - (counts.cumsum(0) - counts)
    at = torch.arange(len(flat)) + shift[flat[order]]
    slot = torch.empty(len(flat), dtype=torch.int32)
    slot[order] = at.to(torch.int32)
    row = torch.full((int(bounds[-1]),), -1, dtype=torch.int32)
    row[at] = (order // chosen.shape[1]).to(torch.int32)
    expert = torch.repeat_interleave(torch.arange(experts), room).to(torch.int32)
    return slot, row, expert, bounds.tolist()


class Experts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        t: torch.Tensor,
        chosen: torch.Tensor,
        share: torch.Tensor,
        gate_up: torch.Tensor,
        gate_up_bias: torch.Tensor,
        down: torch.Tensor,
        down_bias: torch.Tensor,
        ops: "FastOps",
    ) -> torch.Tensor:
        s, lib = ops.shape, ops.lib
        slot, row, expert, bounds = plan_slots(chosen, s.experts)
        slots = len(row)
        inputs = torch.empty(slots, s.width, dtype=BF16)
        call(lib.gather_rows, t, row, inputs, slots, s.width)
        hidden = torch.empty(slots, 2 * s.ff, dtype=BF16)
        act = torch.empty(slots, s.ff, dtype=BF16)
        y = torch.empty(slots, s.width, dtype=BF16)
        parts = [
            (e, slice(bounds[e], bounds[e + 1]))
            for e in range(s.experts)
            if bounds[e + 1] > bounds[e]
        ]
        for e, part in parts:
            torch.mm(inputs[part], gate_up[e].T, out=hidden[part])
        call(lib.swiglu_forward, hidden, gate_up_bias, expert, act, slots, s.ff, s.alpha, s.limit)
        ops.round_rows(act)
        for e, part in parts:
            torch.mm(act[part], down[e].T, out=y[part])
        out = torch.empty(len(t), s.width)
        share = share.contiguous()
        call(
            lib.combine_forward,
            y,
            down_bias,
            slot,
            expert,
            share,
            out,
            len(t),
            chosen.shape[1],
            s.width,
        )
        ctx.save_for_backward(share, gate_up, gate_up_bias, down, down_bias)
        ctx.more = (slot, expert, inputs, hidden, act, y, parts, ops)
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Tuple[Any, ...]:
        share, gate_up, gate_up_bias, down, down_bias = ctx.saved_tensors
        slot, expert, inputs, hidden, act, y, parts, ops = ctx.more
        s, lib, slots = ops.shape, ops.lib, len(expert)
        grad = grad.contiguous()
        rows, used = share.shape
        dy = torch.zeros_like(y)
        dshare, ddown_bias = torch.empty_like(share), torch.zeros_like(down_bias)
        call(
            lib.combine_backward,
            grad,
            y,
            down_bias,
            slot,
            expert,
            share,
            dy,
            dshare,
            ddown_bias,
            rows,
            used,
            s.width,
        )
        dact, ddown = torch.empty_like(act), torch.zeros_like(down)
        for e, part in parts:
            torch.mm(dy[part], down[e], out=dact[part])
            torch.mm(dy[part].T, act[part], out=ddown[e])
        dhidden, dgate_up_bias = torch.empty_like(hidden), torch.zeros_like(gate_up_bias)
        call(
            lib.swiglu_backward,
            hidden,
            gate_up_bias,
            expert,
            dact,
            dhidden,
            dgate_up_bias,
            slots,
            s.ff,
            s.alpha,
            s.limit,
        )
        dinputs, dgate_up = torch.empty_like(inputs), torch.zeros_like(gate_up)
        for e, part in parts:
            torch.mm(dhidden[part], gate_up[e], out=dinputs[part])
            torch.mm(dhidden[part].T, inputs[part], out=dgate_up[e])
        dt = torch.empty(rows, s.width, dtype=BF16)
        call(lib.sum_slots, dinputs, slot, dt, rows, used, s.width)
        return dt, None, dshare, dgate_up, dgate_up_bias, ddown, ddown_bias, None


class Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor, ops: "FastOps"
    ) -> torch.Tensor:
        each = torch.empty(len(labels))
        total = call(
            ops.lib.loss_and_grad, logits, labels, weights, each, len(labels), logits.shape[1]
        )
        ops.each = each
        ctx.save_for_backward(logits)
        return torch.tensor(total, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Tuple[Any, ...]:
        return ctx.saved_tensors[0].mul_(grad.to(BF16)), None, None, None


class FastOps(PlainOps):
    """eight_bits: where rope's bounds are rounded as in llama.cpp, activations are, too."""

    def __init__(self, shape: Shape, positions: int = 1024, eight_bits: bool = False):
        super().__init__(shape, positions)
        self.eight_bits, self.eight = eight_bits, False
        assert (
            shape.head_dim == 32
            and shape.width % 16 == 0
            and shape.ff % 16 == 0
            and shape.width <= 1024
        )
        self.lib = build()
        self._scratch = torch.empty(0)

    def dtype(self) -> torch.dtype:
        return BF16

    def begin(self, rounded: bool) -> None:
        self.eight = rounded and self.eight_bits

    def round_rows(self, x: torch.Tensor) -> None:
        """What goes into a product, as llama.cpp rounds it; gradients pass as if it did not."""
        if self.eight:
            call(self.lib.round_to_8_bits, x, x.numel() // 32)

    def scratch(self, floats: int) -> torch.Tensor:
        if len(self._scratch) < floats:
            self._scratch = torch.empty(floats + floats // 4)
        return self._scratch

    def norm(self, x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        return Norm.apply(x.contiguous(), gain, self)

    def attend(
        self, qkv: torch.Tensor, sinks: torch.Tensor, batch: Batch, windowed: bool, rounded: bool
    ) -> torch.Tensor:
        return Attend.apply(qkv.contiguous(), sinks, batch, windowed, rounded, self)

    def experts(
        self,
        t: torch.Tensor,
        chosen: torch.Tensor,
        share: torch.Tensor,
        gate_up: torch.Tensor,
        gate_up_bias: torch.Tensor,
        down: torch.Tensor,
        down_bias: torch.Tensor,
    ) -> torch.Tensor:
        return Experts.apply(t, chosen, share, gate_up, gate_up_bias, down, down_bias, self)

    def loss(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        return Loss.apply(logits, labels, weights, self)
