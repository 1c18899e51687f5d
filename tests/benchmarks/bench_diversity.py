"""What variety costs on MovieLens 100K: lists by EASE, weights measured on validation of fold 1.

Bars at the default weight, for at most 2 % of NDCG@10: MMR adds at least 20 % of intra-list
diversity, calibration takes at least 30 % of the calibration error.
"""

import sys

import polars as pl

from recsys_core.columns import CALIBRATION, DIVERSITY, METHOD, NDCG_AT_10, WEIGHT
from recsys_core.diversity.config import DiversityConfig
from recsys_core.diversity.diversify import CALIBRATED, MMR, trade_off
from tests.benchmarks.rerank_data import DATA, load

COST, MORE, LESS = 0.02, 0.20, 0.30


def main() -> int:
    world = load(published=False, depth=50)
    config = DiversityConfig()
    curve = trade_off(
        world.candidates, world.split.train, world.split.valid, world.tables.items,
        like_from=DATA.like_from, pool=config.pool,
    )  # fmt: skip
    base = curve.row(0, named=True)
    print("| method | weight | NDCG@10 | diversity | calibration error |\n|---|--:|--:|--:|--:|")
    for row in curve.iter_rows(named=True):
        changes = (f"{row[name] / base[name] - 1:+.1%}"
                   for name in (NDCG_AT_10, DIVERSITY, CALIBRATION))  # fmt: skip
        print(f"| {row[METHOD]} | {row[WEIGHT]:.1f} | {' | '.join(changes)} |")
    found = {
        name: curve.filter((pl.col(METHOD) == name) & (pl.col(WEIGHT) == config.weight)).row(
            0, named=True
        )
        for name in (MMR, CALIBRATED)
    }
    held = [
        *(row[NDCG_AT_10] >= base[NDCG_AT_10] * (1 - COST) for row in found.values()),
        found[MMR][DIVERSITY] >= base[DIVERSITY] * (1 + MORE),
        found[CALIBRATED][CALIBRATION] <= base[CALIBRATION] * (1 - LESS),
    ]
    print("bars (MMR's cost, calibration's cost, diversity, calibration):", held)
    return int(not all(held))


if __name__ == "__main__":
    sys.exit(main())
