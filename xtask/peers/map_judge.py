"""Judges layouts, all by the same measure, and prints `name<TAB>value` lines.

    python map_judge.py X.npy Y.npy [--threads N] [--rows N]

rows, columns, finite  what Y.npy holds: `[rows, columns]`, and 1 if every number is finite
kl        the Kullback-Leibler divergence that t-SNE makes small: affinities of perplexity 30 on the
          90 exact nearest neighbours, symmetrised; the normaliser is the sum over all pairs
kl_error  one standard error of `kl`; 0 when all rows were taken
knn15     the share of the 15 nearest neighbours of a vector that are among its 15 nearest in the
          layout
trust15   trustworthiness: 1 when nothing is among the 15 nearest in the layout that is far away
          in the vectors, less the further such points are; of at most 2,000 rows
judged    of how many rows `kl` and `knn15` are

The divergence is a mean over rows. With p(j|i) the affinity of row i to its neighbour j before
symmetrising, w the kernel in the layout and Z its sum over all pairs,

    KL = 1/n sum_i sum_j p(j|i) log(p_ij Z / w_ij),   p_ij = (p(j|i) + p(i|j)) / 2n,

so it can be taken over all rows or over a fair sample of them. Up to 200,000 vectors all rows are
judged, above that 1,000 of them (their neighbours' neighbours are exact too, and Z is from 20,000
rows). What depends on the vectors alone is kept in a file beside them.
"""

import argparse
import os

from common import use_threads

PERPLEXITY = 30
NEIGHBOURS = 90
NEAREST = 15
ALL_ROWS_UP_TO = 200_000
SAMPLED_ROWS = 1_000
NORMALISER_ROWS = 20_000
TRUSTED_ROWS = 2_000


def kernels():
    """The loops over pairs, compiled."""
    import numba
    import numpy as np

    @numba.njit(parallel=True, cache=True)
    def smallest(squares, kept):
        """The columns of the `kept` smallest numbers of each row, in no order."""
        rows, columns = squares.shape
        chosen = np.empty((rows, kept), np.int32)
        for row in numba.prange(rows):
            line = squares[row]
            best = np.empty(kept, np.float32)  # a heap, the greatest first
            for column in range(columns):
                value = line[column]
                if column < kept:
                    place = column
                    while place > 0 and best[(place - 1) // 2] < value:
                        above = (place - 1) // 2
                        best[place] = best[above]
                        chosen[row, place] = chosen[row, above]
                        place = above
                elif value < best[0]:
                    place = 0
                    while True:
                        below = 2 * place + 1
                        if below + 1 < kept and best[below + 1] > best[below]:
                            below += 1
                        if below >= kept or best[below] <= value:
                            break
                        best[place] = best[below]
                        chosen[row, place] = chosen[row, below]
                        place = below
                else:
                    continue
                best[place] = value
                chosen[row, place] = column
        return chosen

    @numba.njit(parallel=True, cache=True)
    def conditional(squares, perplexity):
        """Affinities of each row to its neighbours, of the given perplexity."""
        rows, columns = squares.shape
        affinities = np.empty((rows, columns))
        for row in numba.prange(rows):
            nearest = squares[row].min()
            low, high, sharpness = 0.0, np.inf, 1.0
            for _ in range(200):
                total, weighted = 0.0, 0.0
                for column in range(columns):
                    beyond = squares[row, column] - nearest
                    affinities[row, column] = np.exp(-sharpness * beyond)
                    total += affinities[row, column]
                    weighted += affinities[row, column] * beyond
                surplus = np.log(total) + sharpness * weighted / total - np.log(perplexity)
                affinities[row] /= total
                if abs(surplus) < 1e-9:
                    break
                if surplus > 0:
                    low = sharpness
                    sharpness = 2 * sharpness if high == np.inf else (low + high) / 2
                else:
                    high = sharpness
                    sharpness = (low + high) / 2
        return affinities

    @numba.njit(parallel=True, fastmath=True, cache=True)
    def kernel_sums(layout, rows):
        """For each of `rows` the sum of the layout's kernel over all other points."""
        sums = np.empty(len(rows))
        across, down = layout[:, 0].copy(), layout[:, 1].copy()
        for place in numba.prange(len(rows)):
            x, y = across[rows[place]], down[rows[place]]
            total = 0.0
            for other in range(len(across)):
                dx, dy = x - across[other], y - down[other]
                total += 1.0 / (1.0 + dx * dx + dy * dy)
            sums[place] = total - 1.0  # itself
        return sums

    @numba.njit(parallel=True, cache=True)
    def divergences(layout, rows, place_of, neighbours, affinities, normaliser):
        """The part of each of `rows` in the divergence, times the number of points."""
        parts = np.zeros(len(rows))
        points = len(layout)
        for number in numba.prange(len(rows)):
            row = rows[number]
            for column in range(neighbours.shape[1]):
                other = neighbours[place_of[row], column]
                there = affinities[place_of[row], column]
                if there <= 0:
                    continue
                back = 0.0
                for inner in range(neighbours.shape[1]):
                    if neighbours[place_of[other], inner] == row:
                        back = affinities[place_of[other], inner]
                joint = (there + back) / (2 * points)
                dx = layout[row, 0] - layout[other, 0]
                dy = layout[row, 1] - layout[other, 1]
                parts[number] += there * np.log(joint * normaliser * (1 + dx * dx + dy * dy))
        return parts

    @numba.njit(parallel=True, cache=True)
    def penalties(vectors, rows, shown, nearest):
        """How far beyond the `nearest` the points are that the layout shows as nearest."""
        out = np.zeros(len(rows))
        for number in numba.prange(len(rows)):
            squares = np.empty(len(vectors), np.float32)
            for other in range(len(vectors)):
                total = np.float32(0)
                for axis in range(vectors.shape[1]):
                    difference = vectors[rows[number], axis] - vectors[other, axis]
                    total += difference * difference
                squares[other] = total
            squares[rows[number]] = np.inf
            for place in range(shown.shape[1]):
                rank = 1
                for other in range(len(vectors)):
                    rank += squares[other] < squares[shown[number, place]]
                out[number] += max(rank - nearest, 0)
        return out

    return smallest, conditional, kernel_sums, divergences, penalties


class Judge:
    """What the vectors say, to be asked about layouts."""

    def __init__(self, vectors, rows, kept_at):
        import numpy as np

        self.np = np
        self.smallest, self.conditional, self.kernel_sums, self.divergences, self.penalties = kernels()
        self.vectors = vectors
        self.rows = self.sample(rows)
        if not (os.path.exists(kept_at) and self.read(kept_at)):
            self.measure()
            self.write(kept_at)
        self.place_of = np.full(len(vectors), -1, np.int64)
        self.place_of[self.known] = np.arange(len(self.known))

    def sample(self, count):
        """`count` rows, the same for every layout; all of them if there are no more."""
        points = len(self.vectors)
        if count >= points:
            return self.np.arange(points)
        return self.np.sort(self.np.random.default_rng(1).choice(points, count, replace=False))

    def measure(self):
        """Neighbours and affinities of the rows, and of their neighbours where those differ."""
        np = self.np
        neighbours, squares = self.exact_neighbours(self.rows)
        self.known, self.neighbours = self.rows, neighbours
        if len(self.rows) < len(self.vectors):
            further = np.setdiff1d(neighbours, self.rows)
            their_neighbours, their_squares = self.exact_neighbours(further)
            self.known = np.concatenate([self.rows, further])
            self.neighbours = np.concatenate([neighbours, their_neighbours])
            squares = np.concatenate([squares, their_squares])
        self.affinities = self.conditional(squares, float(PERPLEXITY))

    def exact_neighbours(self, rows):
        """The nearest neighbours of `rows`, the nearest first, and their squared distances."""
        np, vectors = self.np, self.vectors
        kept = min(NEIGHBOURS, len(vectors) - 1)
        lengths = np.einsum("nd,nd->n", vectors, vectors)
        neighbours = np.empty((len(rows), kept), np.int32)
        squares = np.empty((len(rows), kept))
        step = max(16, 50_000_000 // len(vectors))
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            rough = (-2 * vectors[block]) @ vectors.T
            rough += lengths
            rough[np.arange(len(block)), block] = np.inf
            near = self.smallest(rough, kept)
            # Sums of large numbers of both signs are rough: the few chosen ones are taken again.
            for place, row in enumerate(block):
                beyond = vectors[near[place]].astype(np.float64) - vectors[row]
                square = np.einsum("nd,nd->n", beyond, beyond)
                order = np.argsort(square, kind="stable")
                neighbours[start + place] = near[place][order]
                squares[start + place] = square[order]
        return neighbours, squares

    def read(self, path):
        """Takes what an earlier call has kept, if it was of the same rows."""
        with self.np.load(path) as kept:
            if not self.np.array_equal(kept["rows"], self.rows):
                return False
            self.known, self.neighbours = kept["known"], kept["neighbours"]
            self.affinities = kept["affinities"]
        return True

    def write(self, path):
        with open(path + ".part", "wb") as file:
            self.np.savez(
                file,
                rows=self.rows,
                known=self.known,
                neighbours=self.neighbours,
                affinities=self.affinities,
            )
        os.replace(path + ".part", path)

    def divergence(self, layout):
        """The divergence and one standard error of it."""
        np, points = self.np, len(layout)
        all_rows = len(self.rows) == points
        normaliser_rows = self.rows if all_rows else self.sample(NORMALISER_ROWS)
        sums = self.kernel_sums(layout, normaliser_rows)
        parts = self.divergences(
            layout,
            self.rows,
            self.place_of,
            self.neighbours,
            self.affinities,
            sums.mean() * points,
        )
        if all_rows:
            return parts.mean(), 0.0
        of_parts = parts.std() / np.sqrt(len(parts))
        of_normaliser = sums.std() / sums.mean() / np.sqrt(len(sums))
        return parts.mean(), np.hypot(of_parts, of_normaliser)

    def nearest_shown(self, tree, layout, rows):
        """The nearest points in the layout, without the point itself."""
        np = self.np
        _, found = tree.query(layout[rows], NEAREST + 1, workers=-1)
        is_self = found == rows[:, None]
        # Where points coincide the point itself may be missing: then the last one goes.
        is_self[~is_self.any(axis=1), -1] = True
        return found[~is_self].reshape(len(rows), NEAREST)

    def verdict(self, layout):
        np = self.np
        from scipy.spatial import cKDTree

        finite = bool(np.isfinite(layout).all())
        out = {"rows": len(layout), "columns": layout.shape[1], "finite": int(finite)}
        if layout.shape != (len(self.vectors), 2) or not finite:
            return out
        layout = np.ascontiguousarray(layout, dtype=np.float64)
        out["kl"], out["kl_error"] = self.divergence(layout)

        tree = cKDTree(layout)
        shown = self.nearest_shown(tree, layout, self.rows)
        near = self.neighbours[: len(self.rows), :NEAREST]
        kept = [np.isin(a, b).mean() for a, b in zip(shown, near)]
        out["knn15"] = np.mean(kept)

        trusted = self.sample(TRUSTED_ROWS)
        shown = self.nearest_shown(tree, layout, trusted)
        beyond = self.penalties(self.vectors, trusted, shown, NEAREST).mean()
        out["trust15"] = 1 - 2 * beyond / (NEAREST * (2 * len(layout) - 3 * NEAREST - 1))
        out["judged"] = len(self.rows)
        return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("vectors")
    parser.add_argument("layout")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=int, help="judge so many rows instead of all or 1,000")
    asked = parser.parse_args()

    use_threads(asked.threads)
    import numpy as np

    vectors = np.load(asked.vectors)
    rows = asked.rows or (len(vectors) if len(vectors) <= ALL_ROWS_UP_TO else SAMPLED_ROWS)
    judge = Judge(vectors, rows, asked.vectors.removesuffix(".npy") + ".judge.npz")
    for name, value in judge.verdict(np.load(asked.layout)).items():
        print(f"{name}\t{value}")


if __name__ == "__main__":
    main()
