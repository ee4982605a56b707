"""The demo model: gpt-oss in PyTorch, the shape of formats.md section 2.

Tokens of a batch are one flat list of N rows, cut into packs. A pack is a prefix and segments that
each continue the prefix and do not see one another, so that conversations with the same system
message share its rows:  [prefix][segment 0][segment 1]...  A plain text is a pack without segments.

Parameters are a dict from the GGUF tensor's name to a float32 tensor, outermost dimension first.
What differs between the plain path (this file, any device) and the fast CPU path (fast.py) is an
object with four operations: norm, attend, experts, loss.
"""
from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

import torch
import torch.nn.functional as F

Params = Dict[str, torch.Tensor]


@dataclass(frozen=True)
class Shape:
    """Dimensions and constants; the defaults are the demo model's."""

    vocab: int = 2048
    layers: int = 6
    width: int = 192
    heads: int = 8
    kv_heads: int = 2
    head_dim: int = 32
    experts: int = 8
    used: int = 2
    ff: int = 128
    window: int = 128
    context: int = 4096
    theta: float = 150000.0
    factor: float = 32.0
    original: int = 4096
    eps: float = 1e-5
    alpha: float = 1.702
    limit: float = 7.0

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


def shapes(shape: Shape) -> Dict[str, Tuple[int, ...]]:
    """Every tensor's name and dimensions, outermost first, in the order of the file."""
    s = shape
    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
    out: Dict[str, Tuple[int, ...]] = {"token_embd.weight": (s.vocab, s.width)}
    for i in range(s.layers):
        layer = {
            "attn_norm.weight": (s.width,),
            "attn_q.weight": (q, s.width),
            "attn_q.bias": (q,),
            "attn_k.weight": (kv, s.width),
            "attn_k.bias": (kv,),
            "attn_v.weight": (kv, s.width),
            "attn_v.bias": (kv,),
            "attn_output.weight": (s.width, q),
            "attn_output.bias": (s.width,),
            "attn_sinks.weight": (s.heads,),
            "post_attention_norm.weight": (s.width,),
            "ffn_gate_inp.weight": (s.experts, s.width),
            "ffn_gate_inp.bias": (s.experts,),
            "ffn_gate_exps.weight": (s.experts, s.ff, s.width),
            "ffn_gate_exps.bias": (s.experts, s.ff),
            "ffn_up_exps.weight": (s.experts, s.ff, s.width),
            "ffn_up_exps.bias": (s.experts, s.ff),
            "ffn_down_exps.weight": (s.experts, s.width, s.ff),
            "ffn_down_exps.bias": (s.experts, s.width),
        }
        out.update({f"blk.{i}.{name}": dims for name, dims in layer.items()})
    out["output_norm.weight"] = (s.width,)
    out["output.weight"] = (s.vocab, s.width)
    return out


def init_params(shape: Shape, seed: int) -> Params:
    """Random parameters: rows keep the size of what they multiply, outputs into the residual start
    small, norms at 1, biases and sinks at 0."""
    generator = torch.Generator().manual_seed(seed)
    params: Params = {}
    for name, dims in shapes(shape).items():
        if name.endswith("norm.weight"):
            params[name] = torch.ones(dims)
        elif name.endswith(".bias") or "sinks" in name:
            params[name] = torch.zeros(dims)
        else:
            spread = dims[-1] ** -0.5
            if "attn_output" in name or "ffn_down" in name:
                spread *= 0.3
            elif name == "token_embd.weight":
                spread = 0.5
            elif name == "output.weight":
                spread *= 0.2
            params[name] = torch.randn(dims, generator=generator) * spread
    return params


# ------------------------------------------------------------------------------------------ YaRN


def yarn_tables(shape: Shape, positions: int, rounded: bool) -> Tuple[torch.Tensor, torch.Tensor]:
    """cos and sin, each [positions][head_dim / 2], times the concentration factor.

    rounded: low and high of the ramp rounded outwards as llama.cpp does; the original does not."""
    half = shape.head_dim // 2
    index = torch.arange(half, dtype=torch.float64)
    plain = shape.theta ** (-2 * index / shape.head_dim)

    def bound(turns: float) -> float:
        return half * math.log(shape.original / (2 * math.pi * turns)) / math.log(shape.theta)

    low, high = bound(32.0), bound(1.0)
    if rounded:
        low, high = max(0.0, math.floor(low)), min(shape.head_dim - 1.0, math.ceil(high))
    ramp = ((index - low) / (high - low)).clamp(0, 1)
    inverse = plain / shape.factor * ramp + plain * (1 - ramp)
    angle = torch.arange(positions, dtype=torch.float64)[:, None] * inverse
    concentration = 0.1 * math.log(shape.factor) + 1
    return (angle.cos() * concentration).float(), (angle.sin() * concentration).float()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Half-split rotation. x [N][heads][head_dim]; cos, sin [N][head_dim / 2]."""
    a, b = x.chunk(2, -1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


# ----------------------------------------------------------------------------------------- batch


class Segment(NamedTuple):
    """Rows [first, first + rows) see themselves causally and all rows of the prefix."""

    first: int
    rows: int
    prefix_first: int
    prefix_rows: int


class Batch(NamedTuple):
    """tokens [N] int64, positions [N] int64; segments that cover all N rows, a pack's prefix being
    a segment of its own; rows [R] of which the next token is learnt, labels [R], weights [R]."""

    tokens: torch.Tensor
    positions: torch.Tensor
    segments: List[Segment]
    rows: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor


def text_batch(texts: Sequence[Sequence[int]], every: bool = True) -> Batch:
    """Independent texts as one batch; every row's next token is asked for (the last row's is 0)."""
    tokens: List[int] = []
    positions: List[int] = []
    labels: List[int] = []
    segments: List[Segment] = []
    for text in texts:
        segments.append(Segment(len(tokens), len(text), len(tokens), 0))
        tokens += text
        positions += range(len(text))
        labels += list(text[1:]) + [0]
    rows = (
        torch.arange(len(tokens))
        if every
        else torch.tensor([s.first + s.rows - 1 for s in segments])
    )
    return Batch(
        torch.tensor(tokens),
        torch.tensor(positions),
        segments,
        rows,
        torch.tensor(labels)[rows],
        torch.ones(len(rows)),
    )


# ------------------------------------------------------------------------------------- operations


class PlainOps:
    """The specification, float32, any device."""

    def __init__(self, shape: Shape, positions: int = 1024):
        self.shape = shape
        self.each = torch.empty(0)  # after loss(): the cross entropy of each row
        self.tables = [yarn_tables(shape, positions, rounded) for rounded in (False, True)]

    def dtype(self) -> torch.dtype:
        return torch.float32

    def begin(self, rounded: bool) -> None:
        """A forward pass begins, with rope's bounds rounded or not."""

    def norm(self, x: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        """x [N][width]: times gain over the root of the mean square."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.shape.eps) * gain

    def attend(
        self, qkv: torch.Tensor, sinks: torch.Tensor, batch: Batch, windowed: bool, rounded: bool
    ) -> torch.Tensor:
        """qkv [N][(heads + 2 kv_heads) * head_dim] not rotated; gives [N][heads * head_dim]."""
        s = self.shape
        cos, sin = (t.to(qkv.device)[batch.positions] for t in self.tables[rounded])
        q, k, v = qkv.view(len(qkv), -1, s.head_dim).split((s.heads, s.kv_heads, s.kv_heads), 1)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        group = s.heads // s.kv_heads
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        out: List[torch.Tensor] = []
        for part in batch.segments:
            if part.rows == 0:
                continue
            keys = list(range(part.prefix_first, part.prefix_first + part.prefix_rows))
            keys += range(part.first, part.first + part.rows)
            out.append(
                self._attend_segment(
                    q[part.first : part.first + part.rows], k[keys], v[keys], sinks, windowed
                )
            )
        return torch.cat(out)

    def _attend_segment(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sinks: torch.Tensor, windowed: bool
    ) -> torch.Tensor:
        """q [rows][heads][head_dim] are the last rows of k, v [keys][heads][head_dim]."""
        s = self.shape
        scores = torch.einsum("qhd,khd->hqk", q, k) * s.head_dim**-0.5
        distance = torch.arange(len(k) - len(q), len(k))[:, None] - torch.arange(len(k))
        seen = (distance >= 0) & (distance < (s.window if windowed else len(k)))
        scores = scores.masked_fill(~seen.to(q.device), -math.inf)
        column = sinks[:, None, None].expand(-1, len(q), 1)
        weights = torch.softmax(torch.cat((scores, column), -1), -1)[..., :-1]
        return torch.einsum("hqk,khd->qhd", weights, v).reshape(len(q), -1)

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
        """t [N][width]; chosen, share [N][used]; gate_up [experts][2 ff][width], gate first."""
        s = self.shape
        out = torch.zeros(t.shape, dtype=torch.float32, device=t.device)
        for e in range(s.experts):
            row, slot = (chosen == e).nonzero(as_tuple=True)
            g, u = (t[row] @ gate_up[e].T + gate_up_bias[e]).chunk(2, -1)
            g, u = g.clamp(max=s.limit), u.clamp(-s.limit, s.limit)
            y = (g * torch.sigmoid(s.alpha * g) * (u + 1)) @ down[e].T + down_bias[e]
            out = out.index_add(0, row, y * share[row, slot][:, None])
        return out

    def loss(
        self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        """Sum of weighted cross entropies in nats, which are left in each. logits [R][vocab]."""
        each = F.cross_entropy(logits.float(), labels, reduction="none")
        self.each = each.detach()
        return (each * weights).sum()


# ---------------------------------------------------------------------------------------- forward


def _attention(
    p: Params,
    name: str,
    x: torch.Tensor,
    batch: Batch,
    ops: PlainOps,
    windowed: bool,
    rounded: bool,
) -> torch.Tensor:
    t = ops.norm(x, p[name + "attn_norm.weight"])
    kinds = ("attn_q", "attn_k", "attn_v")
    weight = torch.cat([p[f"{name}{kind}.weight"] for kind in kinds]).to(ops.dtype())
    bias = torch.cat([p[f"{name}{kind}.bias"] for kind in kinds]).to(ops.dtype())
    heads = ops.attend(
        F.linear(t, weight, bias), p[name + "attn_sinks.weight"], batch, windowed, rounded
    )
    return F.linear(
        heads,
        p[name + "attn_output.weight"].to(ops.dtype()),
        p[name + "attn_output.bias"].to(ops.dtype()),
    )


def _mixture(
    p: Params, name: str, x: torch.Tensor, ops: PlainOps, used: int
) -> Tuple[torch.Tensor, torch.Tensor]:
    """The experts' sum and the load-balancing term, experts * sum of share of rows * mean
    probability: 1 when all experts are chosen alike."""
    t = ops.norm(x, p[name + "post_attention_norm.weight"])
    router = F.linear(t.float(), p[name + "ffn_gate_inp.weight"], p[name + "ffn_gate_inp.bias"])
    best, chosen = torch.topk(router, used, -1)
    share = torch.softmax(best, -1)
    gate_up = torch.cat((p[name + "ffn_gate_exps.weight"], p[name + "ffn_up_exps.weight"]), 1)
    gate_up_bias = torch.cat((p[name + "ffn_gate_exps.bias"], p[name + "ffn_up_exps.bias"]), 1)
    out = ops.experts(
        t,
        chosen,
        share,
        gate_up.to(ops.dtype()),
        gate_up_bias,
        p[name + "ffn_down_exps.weight"].to(ops.dtype()),
        p[name + "ffn_down_exps.bias"],
    )
    experts = router.shape[1]
    load = torch.bincount(chosen.flatten(), minlength=experts).float() / chosen.numel()
    return out, experts * (load * torch.softmax(router, -1).mean(0)).sum()


def logits(
    p: Params, batch: Batch, ops: PlainOps, rounded: bool
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Logits [R][vocab] of batch.rows, and the layers' mean load-balancing term.

    The last layer's experts run on the rows asked for alone."""
    s = ops.shape
    ops.begin(rounded)
    x = F.embedding(batch.tokens, p["token_embd.weight"])
    balance = torch.zeros((), device=x.device)
    for i in range(s.layers):
        name = f"blk.{i}."
        x = x + _attention(p, name, x, batch, ops, i % 2 == 0, rounded)
        if i == s.layers - 1:
            x = x[batch.rows]
        y, term = _mixture(p, name, x, ops, s.used)
        x = x + y
        balance = balance + term / s.layers
    t = ops.norm(x, p["output_norm.weight"])
    return F.linear(t, p["output.weight"].to(ops.dtype())), balance


def loss(
    p: Params, batch: Batch, ops: PlainOps, rounded: bool
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Sum over batch.rows of the weighted cross entropy, and the load-balancing term."""
    rows, balance = logits(p, batch, ops, rounded)
    return ops.loss(rows, batch.labels, batch.weights), balance
