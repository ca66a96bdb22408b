"""Writes the weight files that the tests of `encoder::weights` read.

    python testdata/weights/make.py

Made with torch 2.15.0 (CPU) and Python's own zipfile and pickle. Every float tensor holds
`i / 4 - 3` for i = 0, 1, 2, ... in row-major order (exact in f16 and bf16), unless said otherwise,
so that the tests need no second file of expected values.
"""

import collections
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import torch

HERE = Path(__file__).parent


def ramp(*shape, dtype=torch.float32):
    count = torch.Size(shape).numel()
    return (torch.arange(count, dtype=torch.float64) / 4 - 3).reshape(shape).to(dtype)


def kinds():
    """One tensor of each element, and the ways a tensor can lie in its storage."""
    shared = ramp(12)
    return collections.OrderedDict(
        [
            ("f32", ramp(2, 3)),
            ("f16", ramp(5, dtype=torch.float16)),
            ("bf16", ramp(5, dtype=torch.bfloat16)),
            ("f64", ramp(2, 2, dtype=torch.float64)),
            ("scalar", torch.tensor(1.5)),
            ("empty", torch.empty(0, 3)),
            # [3, 4] laid out column by column: values are the ramp of [4, 3], transposed.
            ("transposed", ramp(4, 3).t()),
            # Three views of one storage: elements 0..12, 4..10 as [2, 3], and every second.
            ("shared.whole", shared),
            ("shared.part", shared[4:10].view(2, 3)),
            ("shared.second", shared[::2]),
            ("parameter", torch.nn.Parameter(ramp(2))),
            ("num_batches_tracked", torch.tensor(7)),
            ("mask", torch.tensor([True, False])),
        ]
    )


def model():
    """A real module's state dict, with the `_metadata` that modules add."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    for parameter in list(net.parameters()) + list(net.buffers()):
        if parameter.dtype == torch.float32:
            parameter.data = ramp(*parameter.shape)
    return net


def checkpoint():
    """What a training program saves: the state dict is one of several things."""
    net = torch.nn.DataParallel(model())
    optimiser = torch.optim.Adam(net.parameters())
    return {
        "epoch": 3,
        "best": 0.75,
        "arch": "tiny",
        "state_dict": net.state_dict(),
        "optimizer": optimiser.state_dict(),
    }


class Attack:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def zip_of(path, entries, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, compression)


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def safetensors(tensors):
    """A safetensors file by hand: length, JSON header, values."""
    header, values = {"__metadata__": {"made by": "make.py"}}, b""
    for name, dtype, tensor in tensors:
        raw = tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        end = len(values) + len(raw)
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(values), end]}
        values += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + values


def big_endian():
    """What torch.save writes on a big-endian machine: same pickle, other bytes, other mark."""
    source = zipfile.ZipFile(io.BytesIO(saved({"f32": ramp(3)})))
    entries = []
    for name in source.namelist():
        content = source.read(name)
        if name.endswith("/byteorder"):
            content = b"big"
        elif "/data/" in name:
            content = b"".join(content[i : i + 4][::-1] for i in range(0, len(content), 4))
        entries.append((name, content))
    return entries


def main():
    old = {"_use_new_zipfile_serialization": False}
    torch.save(kinds(), HERE / "kinds.pth")
    torch.save(kinds(), HERE / "kinds-old.pth", **old)
    torch.save(checkpoint(), HERE / "checkpoint.pth")
    torch.save(checkpoint(), HERE / "checkpoint-old.pth", **old)
    torch.save({"f32": ramp(3)}, HERE / "protocol-4-old.pth", pickle_protocol=4, **old)
    torch.save(model(), HERE / "whole-model.pth")
    torch.save({"weight": ramp(2), "attack": Attack()}, HERE / "attack.pth")
    torch.save({"weight": ramp(2), "attack": Attack()}, HERE / "attack-old.pth", **old)
    (HERE / "attack.pkl").write_bytes(pickle.dumps(Attack(), protocol=4))
    zip_of(HERE / "big-endian.pth", big_endian(), zipfile.ZIP_STORED)

    table = [
        ("f32", "F32", ramp(2, 3)),
        ("f16", "F16", ramp(5, dtype=torch.float16)),
        ("bf16", "BF16", ramp(5, dtype=torch.bfloat16)),
        ("f64", "F64", ramp(2, 2, dtype=torch.float64)),
        ("num_batches_tracked", "I64", torch.tensor(7)),
    ]
    # Safetensors wants the values of wide elements first, so that all are aligned.
    table.sort(key=lambda entry: -entry[2].element_size())
    (HERE / "kinds.safetensors").write_bytes(safetensors(table))

    small_zip, small_old = saved({"weight": ramp(3)}), saved({"weight": ramp(3)}, **old)
    zip_of(HERE / "zip-inside.whl", [("tiny/__init__.py", ""), ("tiny/models/tiny.pth", small_zip)])
    zip_of(HERE / "old-inside.whl", [("tiny/__init__.py", ""), ("tiny/models/tiny.pth", small_old)])
    zip_of(HERE / "several.zip", [("b.pth", small_old), ("a.safetensors", b""), ("notes.txt", "")])
    zip_of(HERE / "none.zip", [("notes.txt", "nothing here")])


if __name__ == "__main__":
    main()
