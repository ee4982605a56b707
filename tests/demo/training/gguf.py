"""Writes and reads GGUF version 3 (formats.md 6.1), as far as the demo model needs it."""
from __future__ import annotations

import struct
from typing import Any, BinaryIO, Dict, List, Tuple

import numpy as np
import torch

import quant

ALIGNMENT = 32
U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
DTYPES = {"F32": 0, "Q8_0": 8, "MXFP4": 39}
SCALARS = {U32: "<I", I32: "<i", F32: "<f"}

Key = Tuple[str, Tuple[int, Any]]  # name, (type, value); an array's value is (element type, list)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(kind: int, value: Any) -> bytes:
    if kind == STRING:
        return _string(value)
    if kind == ARRAY:
        element, items = value
        return struct.pack("<IQ", element, len(items)) + b"".join(
            _value(element, item) for item in items
        )
    return struct.pack(SCALARS[kind], value)


def _data(kind: str, tensor: torch.Tensor) -> bytes:
    if kind == "MXFP4":
        return quant.mxfp4_bytes(tensor)
    if kind == "Q8_0":
        return quant.q8_0_bytes(tensor)
    return tensor.numpy().astype("<f4").tobytes()


def write(path: str, keys: List[Key], tensors: Dict[str, torch.Tensor]) -> None:
    """Tensors are float32, outermost dimension first; quant.kind says what they become."""
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, (kind, value) in keys:
        header += _string(name) + struct.pack("<I", kind) + _value(kind, value)
    body: List[bytes] = []
    at = 0
    for name, tensor in tensors.items():
        kind = quant.kind(name)
        data = _data(kind, tensor.detach().contiguous())
        dims = list(reversed(tensor.shape))
        header += _string(name) + struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
        header += struct.pack("<IQ", DTYPES[kind], at)
        body += [data, b"\0" * (-len(data) % ALIGNMENT)]
        at += len(data) + -len(data) % ALIGNMENT
    with open(path, "wb") as file:
        file.write(header + b"\0" * (-len(header) % ALIGNMENT) + b"".join(body))


def _read(file: BinaryIO, form: str) -> Any:
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _read_value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return file.read(_read(file, "<Q")).decode()
    if kind == ARRAY:
        element, count = _read(file, "<I"), _read(file, "<Q")
        return [_read_value(file, element) for _ in range(count)]
    return _read(file, SCALARS[kind])


def read(path: str) -> Tuple[Dict[str, Any], Dict[str, torch.Tensor]]:
    """Keys and tensors, the values as float32."""
    with open(path, "rb") as file:
        assert file.read(4) == b"GGUF" and _read(file, "<I") == 3
        tensor_count, key_count = _read(file, "<Q"), _read(file, "<Q")
        keys: Dict[str, Any] = {}
        for _ in range(key_count):
            name = _read_value(file, STRING)
            keys[name] = _read_value(file, _read(file, "<I"))
        infos: List[Tuple[str, Tuple[int, ...], int, int]] = []
        for _ in range(tensor_count):
            name = _read_value(file, STRING)
            dims = tuple(reversed([_read(file, "<Q") for _ in range(_read(file, "<I"))]))
            infos.append((name, dims, _read(file, "<I"), _read(file, "<Q")))
        start = file.tell() + -file.tell() % ALIGNMENT
        file.seek(0)
        data = file.read()
    tensors: Dict[str, torch.Tensor] = {}
    for name, dims, kind, offset in infos:
        count = int(np.prod(dims))
        begin = start + offset
        if kind == DTYPES["F32"]:
            values = np.frombuffer(data, "<f4", count, begin).reshape(dims).copy()
            tensors[name] = torch.from_numpy(values)
        elif kind == DTYPES["Q8_0"]:
            tensors[name] = quant.read_q8_0(data[begin : begin + count // 32 * 34], dims)
        else:
            assert kind == DTYPES["MXFP4"]
            tensors[name] = quant.read_mxfp4(data[begin : begin + count // 32 * 17], dims)
    return keys, tensors
