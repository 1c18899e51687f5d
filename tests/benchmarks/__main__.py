"""`make bench`: every benchmark, or those named: `make bench ARGS="embedding imports"`.

Machines are shared and noisy: what counts are the ratios inside one benchmark's run.
"""

import importlib
import pkgutil
import sys
from collections.abc import Sequence

import flows  # noqa: F401  sets the environment's defaults
from tests import benchmarks

PREFIX = "bench_"


def main(wanted: Sequence[str]) -> int:
    names = [found.name for found in pkgutil.iter_modules(benchmarks.__path__)]
    known = [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]
    if unknown := set(wanted) - set(known):
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
        return 2
    missed = 0
    for name in wanted or known:
        print(f"\n== {name}", flush=True)
        # A benchmark with a bar of its own returns 1 where it is missed.
        missed |= importlib.import_module(f"{benchmarks.__name__}.{PREFIX}{name}").main() or 0
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
