"""Writes the vectors that layouts are compared on: X_N.npy, float32 [N, 50], unit rows.

    python map_data.py FOLDER N [N ...]

The vectors are the first N of one seeded million: 200 clusters of 5 sub-clusters each, of uneven
size, which stretch along 12 directions of their own, laid on the unit sphere. A file that is there
already is left as it is.
"""

import os
import sys

from common import vectors_file

import numpy as np

SEED = 0
DIMENSIONS = 50
CLUSTERS = 200
PARTS = 5  # sub-clusters of a cluster
DIRECTIONS = 12  # along which the points of a cluster spread
MILLION = 1_000_000
BLOCK = 50_000  # chance is drawn block by block: another size would give other vectors


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def mixture(points):
    """The first `points` vectors. The order in which chance is drawn is part of the data."""
    chance = np.random.default_rng(SEED)
    centres = unit(chance.normal(size=(CLUSTERS, DIMENSIONS)))
    offsets = unit(chance.normal(size=(CLUSTERS, PARTS, DIMENSIONS)))
    shares = chance.gamma(2.0, size=(CLUSTERS, PARTS))
    directions = chance.normal(size=(CLUSTERS, DIRECTIONS, DIMENSIONS)) / np.sqrt(DIMENSIONS)
    part_of = chance.choice(
        CLUSTERS * PARTS, size=MILLION, p=(shares / shares.sum()).ravel()
    )

    part_centres = (centres[:, None] + 0.6 * offsets).reshape(-1, DIMENSIONS)
    widths = 0.45 / np.sqrt(np.arange(1, DIRECTIONS + 1))
    vectors = np.empty((points, DIMENSIONS), np.float32)
    for start in range(0, points, BLOCK):
        parts = part_of[start : start + BLOCK]
        along = chance.normal(size=(len(parts), DIRECTIONS)) * widths
        noise = 0.02 * chance.normal(size=(len(parts), DIMENSIONS))
        block = part_centres[parts] + noise
        block += np.einsum("nj,njd->nd", along, directions[parts // PARTS])
        vectors[start : start + BLOCK] = unit(block)[: points - start]
    return vectors


def main():
    folder, counts = sys.argv[1], [int(count) for count in sys.argv[2:]]
    os.makedirs(folder, exist_ok=True)
    for points in counts:
        path = vectors_file(folder, points)
        if os.path.exists(path):
            continue
        with open(path + ".part", "wb") as file:
            np.save(file, mixture(points))
        os.replace(path + ".part", path)


if __name__ == "__main__":
    main()
