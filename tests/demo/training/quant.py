"""MXFP4 and Q8_0 as the file holds them, and the values that they stand for (formats.md 5 and 7).

Both work on float32 tensors whose last dimension is a multiple of 32, in blocks of 32 along it."""
from __future__ import annotations

from typing import Callable, Dict, Optional, Tuple

import numpy as np
import torch

BLOCK = 32
MAGNITUDES = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
MIDPOINTS = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])


def _mxfp4_parts(x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """Blocks [...][32] and the scale [...][1]: two binades below the largest magnitude's, as
    ggml's quantize_row_mxfp4 has it, but never below 2^-126: smaller ones are no normal float32."""
    blocks = x.reshape(*x.shape[:-1], -1, BLOCK)
    largest = blocks.abs().amax(-1, keepdim=True)
    _, exponent = torch.frexp(largest)  # largest = m * 2^exponent, m in [0.5, 1)
    exponent = torch.where(largest > 0, exponent - 3, torch.full_like(exponent, -126)).clamp(
        min=-126
    )
    return blocks, torch.ldexp(torch.ones_like(largest), exponent)


def mxfp4_values(x: torch.Tensor) -> torch.Tensor:
    """The nearest values that MXFP4 can hold; of two equally near, the smaller magnitude."""
    blocks, scale = _mxfp4_parts(x)
    a = (blocks / scale).abs()
    # The spacing is 0.5 below 2, 1 below 4, 2 above; ceil(a / step - 0.5) rounds a half down.
    step = 0.5 + 0.5 * (a > 2) + (a > 4)
    nearest = (torch.ceil(a / step - 0.5) * step).clamp(max=6)
    return (torch.copysign(nearest, blocks) * scale).reshape(x.shape)


def mxfp4_bytes(x: torch.Tensor) -> bytes:
    """17 bytes a block: the exponent, then nibbles; byte j holds elements j (low) and j + 16."""
    blocks, scale = _mxfp4_parts(x)
    code = torch.bucketize((blocks / scale).abs().contiguous(), MIDPOINTS)
    code = code + 8 * (blocks < 0) * (code > 0)
    _, exponent = torch.frexp(scale)
    out = torch.cat((exponent + 126, code[..., :16] + 16 * code[..., 16:]), -1)
    return out.to(torch.uint8).numpy().tobytes()


def q8_0_values(x: torch.Tensor) -> torch.Tensor:
    """Multiples of a scale that is the largest magnitude / 127 rounded to half precision."""
    blocks = x.reshape(*x.shape[:-1], -1, BLOCK)
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    inverse = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))
    return (torch.round(blocks * inverse) * scale.half().float()).reshape(x.shape)


def q8_0_bytes(x: torch.Tensor) -> bytes:
    """34 bytes a block: the half-precision scale, then 32 signed bytes."""
    blocks = x.reshape(*x.shape[:-1], -1, BLOCK)
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    inverse = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))
    codes = torch.round(blocks * inverse).to(torch.int8).numpy().view(np.uint8)
    scales = scale.half().numpy().view(np.uint8)
    return np.concatenate((scales, codes), -1).tobytes()


def kind(name: str) -> str:
    """The type a tensor has in the file: MXFP4, Q8_0 or F32."""
    if name.endswith("_exps.weight"):
        return "MXFP4"
    dense = (
        "token_embd.weight",
        "output.weight",
        "attn_q.weight",
        "attn_k.weight",
        "attn_v.weight",
        "attn_output.weight",
    )
    return "Q8_0" if name.endswith(dense) else "F32"


VALUES: Dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "MXFP4": mxfp4_values,
    "Q8_0": q8_0_values,
    "F32": lambda x: x,
}


def round_into(name: str, source: torch.Tensor, out: Optional[torch.Tensor] = None) -> torch.Tensor:
    """The values that the file will hold for this tensor."""
    values = VALUES[kind(name)](source)
    return values if out is None else out.copy_(values)


def read_mxfp4(data: bytes, dims: Tuple[int, ...]) -> torch.Tensor:
    """The values of mxfp4_bytes."""
    rows = np.frombuffer(data, np.uint8).reshape(-1, 17)
    scale = np.ldexp(np.float32(1), rows[:, :1].astype(np.int32) - 127)
    codes = np.concatenate((rows[:, 1:] & 15, rows[:, 1:] >> 4), 1)
    table = np.concatenate((MAGNITUDES.numpy(), -MAGNITUDES.numpy()))
    return torch.from_numpy((table[codes] * scale).astype(np.float32).reshape(dims))


def read_q8_0(data: bytes, dims: Tuple[int, ...]) -> torch.Tensor:
    """The values of q8_0_bytes."""
    rows = np.frombuffer(data, np.uint8).reshape(-1, 34)
    scale = rows[:, :2].copy().view(np.float16).astype(np.float32)
    return torch.from_numpy((rows[:, 2:].view(np.int8) * scale).astype(np.float32).reshape(dims))
