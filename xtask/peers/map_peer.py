"""Lays out vectors with one of the programs that looksee is compared with, and prints JSON.

    python map_peer.py NAME X.npy Y.npy [--threads N] [--seed N]

One contender, one process. `wall_s` and `cpu_s` count from vectors in memory to a layout in
memory: neither imports nor the compilation of a library's own code, which runs once before the
clock starts, on 4,500 other vectors. `imports_mb` is the memory in use at that moment, `peak_mb` the
most that the process ever had, both with the vectors.

All t-SNE contenders take 250 exaggerated steps and 500 plain ones at perplexity 30 from a start by
principal components; everything else is as the library's authors set it.
"""

import argparse
import json
import os
import resource
import sys
import time

from common import use_threads

PERPLEXITY = 30
EXAGGERATED_STEPS = 250
PLAIN_STEPS = 500
BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


class Stages:
    """The time of each stage, from one `end` to the next."""

    def __init__(self):
        self.seconds = {}
        self.last = time.perf_counter()

    def end(self, name):
        now = time.perf_counter()
        self.seconds[name] = now - self.last
        self.last = now


def opentsne(neighbours, gradient):
    def lay_out(vectors, threads, seed, steps=(EXAGGERATED_STEPS, PLAIN_STEPS)):
        from openTSNE import TSNEEmbedding, affinity, initialization, nearest_neighbors

        stages = Stages()
        kinds = {"annoy": nearest_neighbors.Annoy, "exact": nearest_neighbors.Sklearn}
        index = kinds[neighbours](vectors, k=3 * PERPLEXITY, n_jobs=threads, random_state=seed)
        found = index.build()
        index.build = lambda: found
        stages.end("neighbours")
        affinities = affinity.PerplexityBasedNN(
            perplexity=PERPLEXITY, knn_index=index, n_jobs=threads
        )
        stages.end("affinities")
        start = initialization.pca(vectors, random_state=seed)
        stages.end("init")
        layout = TSNEEmbedding(
            start,
            affinities,
            negative_gradient_method=gradient,
            n_jobs=threads,
            random_state=seed,
        )
        exaggerated, plain = steps
        layout.optimize(exaggerated, exaggeration=12, momentum=0.8, inplace=True)
        layout.optimize(plain, exaggeration=None, momentum=0.8, inplace=True)
        stages.end("optimise")
        return layout, stages, {"iterations": sum(steps), "kl": float(layout.kl_divergence)}

    def warm_up(vectors, threads):
        lay_out(vectors[:600], threads, 0, steps=(5, 5))

    return lay_out, warm_up


def scikit_learn():
    def lay_out(vectors, threads, seed):
        from sklearn.manifold import TSNE

        stages = Stages()
        steps = EXAGGERATED_STEPS + PLAIN_STEPS
        tsne = TSNE(perplexity=PERPLEXITY, max_iter=steps, n_jobs=threads, random_state=seed)
        layout = tsne.fit_transform(vectors)
        return layout, stages, {"iterations": tsne.n_iter_ + 1, "kl": float(tsne.kl_divergence_)}

    def warm_up(vectors, threads):
        import sklearn.manifold  # nothing is compiled, only imported

    return lay_out, warm_up


def umap():
    def lay_out(vectors, threads, seed, epochs=None):
        from umap import UMAP

        # A seed would make it run on one thread.
        stages = Stages()
        layout = UMAP(n_epochs=epochs, n_jobs=threads).fit_transform(vectors)
        return layout, stages, {}

    def warm_up(vectors, threads):
        # Below 4,096 vectors the library goes another way through its code.
        for count in (600, len(vectors)):
            lay_out(vectors[:count], threads, 0, epochs=5)

    return lay_out, warm_up


CONTENDERS = {
    "opentsne-fft-annoy": opentsne("annoy", "fft"),
    "opentsne-fft-exact": opentsne("exact", "fft"),
    "opentsne-barnes-hut": opentsne("annoy", "bh"),
    "scikit-learn": scikit_learn(),
    "umap-learn": umap(),
}


def cpu_seconds():
    times = os.times()
    return times.user + times.system


def run(name, vectors, threads, seed):
    """The layout and the report of one contender."""
    import numpy as np
    import psutil

    lay_out, warm_up = CONTENDERS[name]
    others = np.random.default_rng(1).normal(size=(4500, vectors.shape[1]))
    warm_up(others.astype(np.float32), threads)
    imports = psutil.Process().memory_info().rss
    cpu, wall = cpu_seconds(), time.perf_counter()
    layout, stages, details = lay_out(vectors, threads, seed)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_OF_MAXRSS
    report = {
        "points": len(vectors),
        "method": name,
        **details,
        "seconds": stages.seconds,
        "wall_s": wall,
        "cpu_s": cpu,
        "peak_mb": peak / 2**20,
        "imports_mb": imports / 2**20,
    }
    return np.asarray(layout, dtype=np.float32), report


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("vectors")
    parser.add_argument("layout")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    use_threads(asked.threads)
    import numpy as np

    layout, report = run(asked.name, np.load(asked.vectors), asked.threads, asked.seed)
    np.save(asked.layout, layout)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
