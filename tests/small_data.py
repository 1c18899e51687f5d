"""A small data set with a planted taste, in the generic contract: made here, licensed to nobody.

Users belong to one of four circles, each fond of one genre; ratings follow the circle with noise.
Ids are strings, the scale is 1-10, there are no overviews and no timestamps: everything that
MovieLens is not.
"""

from pathlib import Path

import numpy as np
import polars as pl

from recsys_core.columns import GENRES, ITEM, OVERVIEW, RATING, TIMESTAMP, TITLE, USER, YEAR

CIRCLES = ("Noir", "Space Opera", "Farce", "Western")
N_USERS, N_ITEMS, PER_USER = 48, 60, 16
SCALE = {"rating_min": 1.0, "rating_max": 10.0}


def write_small(folder: Path, seed: int = 0) -> Path:
    """Write `interactions.parquet` and `items.parquet` into `folder`; returns it."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    small_items().write_parquet(folder / "items.parquet")
    rows = []
    for user in range(N_USERS):
        for item in rng.choice(N_ITEMS, PER_USER, replace=False):
            fond = item % len(CIRCLES) == user % len(CIRCLES)
            rating = float(np.clip(rng.normal(9 if fond else 3.5, 1.2), 1, 10).round())
            rows.append((f"u{user:02}", f"film-{item:02}", rating, None))
    order = rng.permutation(len(rows))
    names = {USER: pl.String, ITEM: pl.String, RATING: pl.Float64, TIMESTAMP: pl.Int64}
    frame = pl.DataFrame([rows[i] for i in order], schema=names, orient="row")
    frame.write_parquet(folder / "interactions.parquet")
    return folder


def small_items() -> pl.DataFrame:
    """Sixty invented films, fifteen of each circle's genre, the last without a year."""
    numbers = range(N_ITEMS)
    return pl.DataFrame(
        {
            ITEM: [f"film-{n:02}" for n in numbers],
            TITLE: [f"{CIRCLES[n % 4]} Story No. {n}" for n in numbers],
            YEAR: [None if n == N_ITEMS - 1 else 1950 + n for n in numbers],
            GENRES: [[CIRCLES[n % 4]] + (["Drama"] if n % 3 == 0 else []) for n in numbers],
            OVERVIEW: [None] * N_ITEMS,
        },
        schema_overrides={YEAR: pl.Int32, OVERVIEW: pl.String},
    )


def run_arguments(place: Path, *, epochs: int) -> list[str]:
    """Arguments of `flows.personalize` for a quick run on the small data of `place`."""
    values = {
        "data.source": place / "data", "data.rating_min": 1, "data.rating_max": 10,
        "artifact_root": place / "artifacts", "runs_root": place / "runs",
        "graph.max_epochs": epochs, "graph.hidden": 8, "graph.heads": 2, "graph.effort": "quick",
        "evaluation.bootstrap": 0,
    }  # fmt: skip
    return [f"--{name}={value}" for name, value in values.items()]
