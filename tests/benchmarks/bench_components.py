"""Item-to-item components: how their cost grows, and the top 20 of a score with a sparse part.

Each size runs in a process of its own: the components chosen and fitted at effort `quick`, then an
epoch of the network, then peers on the same ratings. The figures stand in `docs/costs.md`; all of
it takes half an hour. One size is measured by `python -m tests.benchmarks.fit_components USERS
ITEMS INTERACTIONS`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np

from tests.benchmarks.bars import Bars

ITEMS = (5_000, 10_000, 20_000, 50_000, 100_000)
"""Items, with 20 users for every ten items and 50 interactions per item."""
INTERACTIONS = (100_000, 1_000_000, 5_000_000, 10_000_000)
"""Interactions, 25 per user, of 20,000 items."""
LARGE = (200_000, 100_000, 5_000_000)
"""Users, items, interactions: the last size of `ITEMS`."""
LARGE_S, LARGE_GIB = 300, 6
PER_ITEM, PER_INTERACTION = 1.3, 1.2
"""Exponents at most."""
OF_PRODUCT, TOP_GIB = 2.0, 4
WIDTH, PER_ROW, USERS = 256, 200, 5_000
"""Of the vectors; entries of a row of the sparse part; users of 200,000 that are timed."""


def main() -> int:
    bars = Bars()
    by_items = [_fit(2 * n, n, 50 * n) for n in ITEMS]
    bars.at_most("exponent in items", _exponent(ITEMS, by_items), PER_ITEM)
    by_number = [_fit(n // 25, 20_000, n) for n in INTERACTIONS]
    bars.at_most("exponent in interactions", _exponent(INTERACTIONS, by_number), PER_INTERACTION)
    large = by_items[-1]
    bars.at_most("components of 100,000 items", large["seconds"], LARGE_S, " s")
    bars.at_most("  peak memory", large["peak_gib"], LARGE_GIB, " GiB")
    top(bars)
    return bars.missed


def _fit(users: int, items: int, interactions: int) -> dict[str, float]:
    sizes = [str(one) for one in (users, items, interactions)]
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.fit_components", *sizes]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{users:,} users x {items:,} items, {interactions:,} interactions:"
        f" {found['seconds']:.0f} s ({found['cpu_seconds']:.0f} of the processor),"
        f" {found['peak_gib']:.2f} GiB; an epoch of the network {found['epoch_seconds']:.0f} s"
        f" ({found['epoch_cpu_seconds']:.0f}), {found['epoch_peak_gib']:.2f} GiB;"
        f" implicit's ALS {found['implicit_als_cpu_seconds']:.0f} of the processor,"
        f" an epoch of elsarec {found['elsa_epoch_cpu_seconds']:.0f}"
        + (
            f", LAPACK's EASE {found['lapack_ease_cpu_seconds']:.0f}"
            if "lapack_ease_cpu_seconds" in found
            else ""
        ),
        flush=True,
    )  # fmt: skip
    return found


def _exponent(sizes: Sequence[int], found: Sequence[dict[str, float]]) -> float:
    """Slope of a line through the logarithms of sizes and processor seconds."""
    seconds = [one["cpu_seconds"] + one["epoch_cpu_seconds"] for one in found]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def top(bars: Bars) -> None:
    """Top 20 of some of the users, next to the blocked product alone."""
    import torch
    from scipy import sparse

    from recsys_core.interactions.topk import top_k

    rng, n_items = np.random.default_rng(0), LARGE[1]
    of_users, of_items = (
        rng.standard_normal((n, WIDTH), dtype=np.float32) for n in (USERS, n_items)
    )
    entries = n_items * PER_ROW
    rows = np.repeat(np.arange(n_items), PER_ROW)
    values = rng.standard_normal(entries, dtype=np.float32)
    maps = sparse.csr_matrix((values, (rows, rng.integers(0, n_items, entries))))
    seen_by, seen = np.repeat(np.arange(USERS), 25), rng.integers(0, n_items, 25 * USERS)
    history = sparse.csr_matrix((np.ones(len(seen), np.float32), (seen_by, seen)), (USERS, n_items))
    began = time.perf_counter()
    users, items = (torch.from_numpy(one) for one in (of_users, of_items))
    for start in range(0, USERS, 80):
        users[start : start + 80] @ items.T
    product = time.perf_counter() - began
    began = time.perf_counter()
    top_k(
        of_users, of_items, seen_by, seen, 20,
        added=lambda some: (history[some] @ maps).toarray(),
    )  # fmt: skip
    ours = time.perf_counter() - began
    print(f"top 20 of {USERS:,} users x {n_items:,} items: {ours:.1f} s; product {product:.1f} s")
    bars.at_most("  of the time of the product alone", ours / product, OF_PRODUCT)
