"""What the scripts beside this one share. Imported before numpy, which reads its settings once."""

import os

# Some machines set these for an older numpy; a current one is slowed down by them.
MISLEADING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


def use_threads(count):
    """Lets every library that is imported afterwards use `count` threads."""
    for name in MISLEADING:
        os.environ.pop(name, None)
    for name in THREADS:
        os.environ[name] = str(count)


def vectors_file(folder, points):
    """Where map_data.py puts the first `points` vectors."""
    return os.path.join(folder, f"X_{points}.npy")
