"""Runs a program that prints one JSON document, and prints what it took, a `name<TAB>value` a line.

    python map_run.py PROGRAM ARGUMENT...

`wall_s`, `cpu_s` and `peak_mb` are those of the whole process, seen from outside. Then come the
numbers and words of the document: `{"seconds": {"total": 2}}` becomes the line `seconds.total<TAB>2`.
A program that takes its own time says so under the same names, and the later line counts.
Needs nothing but Python itself, and is small on purpose: until a new process has become its
program, its memory is that of the process which started it, so no peak below about 15 MB can be
seen.
"""

import json
import os
import subprocess
import sys
import time

BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


def measured(command):
    """The process's status, its standard output, and what it took."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    taken = {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * BYTES_OF_MAXRSS / 2**20,
    }
    return process.returncode, output, taken


def flat(value, name=""):
    """Pairs of a dotted name and a number or word; lists and nulls are left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, (bool, int, float, str)):
        yield name, value


def main():
    code, output, taken = measured(sys.argv[1:])
    if code != 0:
        sys.exit(f"{sys.argv[1]} ended with {code}")
    try:
        document = json.loads(output)
    except ValueError as error:
        sys.exit(f"{sys.argv[1]} did not print one JSON document: {error}")
    for name, value in [*taken.items(), *flat(document)]:
        print(f"{name}\t{value}")


if __name__ == "__main__":
    main()
