"""A shop whose data change a little, and what a run then asks and lists: what the tests count.

Users belong to circles that are fond of a genre; what is popular is rated more often. Overviews
are there, so that they can be edited, and so are times.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from flows.personalize import personalize
from recsys_core.columns import (
    CAUSE,
    GENRES,
    ITEM,
    KIND,
    OVERVIEW,
    PURPOSE,
    RANK,
    RATING,
    STRENGTH,
    SUBJECT,
    TIMESTAMP,
    TITLE,
    USER,
    YEAR,
)
from recsys_core.report.summary import Summary
from tests.flows.llm_run import Endpoint, Prompt

GENRES_OF = ("Noir", "Space Opera", "Farce", "Western", "Musical")
START, DAY = 1_600_000_000, 86_400


@dataclass(frozen=True, kw_only=True)
class Shop:
    """Where its tables lie, and how large it is."""

    folder: Path
    users: int
    items: int
    per_user: int

    def write(self, seed: int = 0) -> None:
        """Make it."""
        rng = np.random.default_rng(seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        numbers = range(self.items)
        self.put(
            "items",
            pl.DataFrame(
                {
                    ITEM: [f"film-{n:03}" for n in numbers],
                    TITLE: [f"{GENRES_OF[n % 5]} Story No. {n}" for n in numbers],
                    YEAR: [1950 + n % 60 for n in numbers],
                    GENRES: [[GENRES_OF[n % 5]] for n in numbers],
                    OVERVIEW: [f"In the {n}th story everything goes wrong." for n in numbers],
                },
                schema_overrides={YEAR: pl.Int32},
            ),
        )
        popular = rng.permutation(self.items) + 10.0
        rows = []
        for user in range(self.users):
            fond = np.arange(self.items) % 5 == user % 5
            chance = np.where(fond, 4.0, 1.0) / popular
            count = int(rng.integers(self.per_user // 2, 2 * self.per_user))
            taken = rng.choice(self.items, count, replace=False, p=chance / chance.sum())
            for at, item in enumerate(taken):
                rating = float(np.clip(rng.normal(9 if fond[item] else 5, 1.5), 1, 10).round())
                rows.append((f"u{user:03}", f"film-{item:03}", rating, START + DAY * at + user))
        names = {USER: pl.String, ITEM: pl.String, RATING: pl.Float64, TIMESTAMP: pl.Int64}
        self.put("interactions", pl.DataFrame(rows, schema=names, orient="row"))

    def get(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{name}.parquet")

    def put(self, name: str, table: pl.DataFrame) -> None:
        table.write_parquet(self.folder / f"{name}.parquet")

    def append_rating(self, user: str) -> str:
        """The user likes the first item that they have not rated; its id."""
        rated = self.get("interactions")
        known = rated.filter(pl.col(USER) == user)
        item = self.get("items").join(known, on=ITEM, how="anti")[ITEM].sort()[0]
        latest = pl.Series(known[TIMESTAMP]).max()
        row = pl.DataFrame([(user, item, 9.0, latest + DAY)], schema=rated.schema, orient="row")
        self.put("interactions", pl.concat([rated, row]))
        return item

    def edit_overviews(self, items: list[str]) -> None:
        edited = pl.when(pl.col(ITEM).is_in(items)).then(pl.lit("Another story, told anew."))
        self.put(
            "items", self.get("items").with_columns(edited.otherwise(OVERVIEW).alias(OVERVIEW))
        )

    def add_item(self) -> str:
        items = self.get("items")
        new = items.tail(1).with_columns(
            pl.lit("film-new").alias(ITEM), pl.lit("A Farce That Nobody Saw").alias(TITLE)
        )
        self.put("items", pl.concat([items, new]))
        return "film-new"


@dataclass(frozen=True, kw_only=True)
class Nightly:
    """One run: what it asked, what it listed."""

    summary: Summary
    prompts: list[Prompt]
    lists: pl.DataFrame
    candidates: pl.DataFrame
    evidence: pl.DataFrame
    attributions: pl.DataFrame

    @property
    def calls(self) -> int:
        return len(self.prompts)

    def by_purpose(self) -> Mapping[str, int]:
        return Counter(one.purpose for one in self.prompts)

    def asked_about(self, *purposes: str) -> set[str]:
        """Ids of the users or items that were asked about for one of these purposes, or for any."""
        calls = pl.read_parquet(Path(self.summary.folder) / "llm_calls.parquet")
        found = calls.filter(pl.col(PURPOSE).is_in(purposes)) if purposes else calls
        return set(found[SUBJECT].str.split(":").list.last())

    def holders(self, items: Iterable[str], k: int) -> set[str]:
        """Users with one of these among their first k candidates."""
        held = pl.col(ITEM).is_in(list(items)) & (pl.col(RANK) <= k)
        return set(self.candidates.filter(held)[USER])


def run(endpoint: Endpoint, name: str, **more: str) -> Nightly:
    """Run once, in this process."""
    mark = len(endpoint.prompts)
    summary = personalize(endpoint.config(run_name=name, **more))
    assert summary is not None
    steps = {one.step: Path(one.artifact) for one in summary.steps}
    return Nightly(
        summary=summary,
        prompts=endpoint.since(mark),
        lists=pl.read_parquet(Path(summary.folder) / "recommendations.parquet"),
        candidates=pl.read_parquet(steps["candidates"] / "candidates.parquet"),
        evidence=pl.read_parquet(steps["user_profiles"] / "evidence.parquet"),
        attributions=pl.read_parquet(steps["attribute"] / "attributions.parquet"),
    )


def sets(lists: pl.DataFrame, k: int) -> dict[str, frozenset[str]]:
    """User -> the first k items."""
    top = lists.filter(pl.col(RANK) <= k).group_by(USER).agg(ITEM)
    return {user: frozenset(items) for user, items in top.iter_rows()}


def changed(before: Nightly, after: Nightly, k: int) -> set[str]:
    """Users whose first k candidates are others, whatever their order."""
    one, other = sets(before.candidates, k), sets(after.candidates, k)
    return {user for user in one | other if one.get(user) != other.get(user)}


def recaused(before: Nightly, after: Nightly) -> set[str]:
    """Users of whom an entry that both runs list rests on other causes, or on some more or less."""
    entries = [USER, ITEM]
    named = [USER, ITEM, KIND, CAUSE, STRENGTH]
    both = before.attributions.join(after.attributions, on=entries, how="semi")
    one, other = (
        night.attributions.drop_nulls(STRENGTH).join(both, on=entries, how="semi").select(named)
        for night in (before, after)
    )
    rows = [
        a.join(b, on=named, how="anti", nulls_equal=True) for a, b in ((one, other), (other, one))
    ]
    return set(pl.concat(rows)[USER])


@dataclass(frozen=True, kw_only=True)
class Kept:
    """How much of the lists of users stayed: mean share of the top 10, share of whole sets."""

    top: float
    whole: float


def kept(before: Nightly, after: Nightly, *, but: Callable[[str], bool], k: int) -> Kept:
    """Of the users who did nothing themselves."""
    tops = sets(before.lists, 10), sets(after.lists, 10)
    wholes = sets(before.candidates, k), sets(after.candidates, k)
    users = [user for user in tops[0] if not but(user)]
    return Kept(
        top=float(np.mean([len(tops[0][u] & tops[1][u]) / len(tops[0][u]) for u in users])),
        whole=float(np.mean([wholes[0][u] == wholes[1][u] for u in users])),
    )
