"""Writes the catalogue and the weights that the folders beside this file were made with.

    python3 make.py FOLDER                     the catalogue
    python3 make.py FOLDER MODEL/weights.safetensors
                                               the same, and start.safetensors: the tensors of that
                                               model with few values, so that they compress
"""

import json
import random
import struct
import sys
import zlib
from pathlib import Path

COLOURS = {"red": (220, 40, 40), "green": (40, 170, 60), "blue": (40, 70, 220), "black": (20, 20, 20)}
SHAPES = {
    "disc": lambda x, y, r: x * x + y * y < r * r,
    "square": lambda x, y, r: abs(x) < r and abs(y) < r,
    "bar": lambda x, y, r: abs(x) < r and abs(y) < r / 3,
}


def png(pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", len(pixels[0]), len(pixels), 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(v for pixel in row for v in pixel) for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def catalogue(folder):
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    with open(folder / "shop.jsonl", "w") as out:
        for colour, rgb in COLOURS.items():
            for shape, inside in SHAPES.items():
                for size in (8, 12):
                    name = f"{colour}-{shape}-{size}"
                    rows = [[rgb if inside(x - 15.5, y - 15.5, size) else (255, 255, 255)
                             for x in range(32)] for y in range(32)]
                    (folder / "pictures" / f"{name}.png").write_bytes(png(rows))
                    row = {"image": f"pictures/{name}.png", "id": name, "title": f"{colour} {shape}",
                           "color": colour, "size": size}
                    print(json.dumps(row), file=out)


def sparse(source, target):
    """Gives each output of a convolution a few inputs, so that the file compresses well."""
    chance = random.Random(1)
    data = bytearray(source.read_bytes())
    start = 8 + struct.unpack("<Q", data[:8])[0]
    for name, tensor in json.loads(data[8:start]).items():
        shape = tensor["shape"]
        if not name.startswith("image.") or len(shape) != 4:
            continue
        first, end = tensor["data_offsets"]
        inputs = shape[1] * shape[2] * shape[3]
        kept = min(inputs, 9)
        values = []
        for _ in range(shape[0]):
            row = [0.0] * inputs
            for place in chance.sample(range(inputs), kept):
                row[place] = chance.choice([-1, 1]) * (2.0 / kept) ** 0.5
            values.extend(row)
        data[start + first:start + end] = struct.pack(f"<{len(values)}f", *values)
    target.write_bytes(data)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    catalogue(folder)
    if len(sys.argv) > 2:
        sparse(Path(sys.argv[2]), folder / "start.safetensors")
