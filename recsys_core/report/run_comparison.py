"""Two runs compared: what differs in their configuration, metrics, lists, cost and time.

It needs the files of the runs' folders alone, and refuses runs that cannot be compared: of other
data, another split, or other cut-offs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import ValidationError

from recsys_core.columns import (
    EXPLANATION,
    FOLD,
    ITEM,
    METHOD,
    METHOD_PER_USER,
    METRIC,
    RANK,
    RECOMMENDATIONS,
    TITLE,
    USER,
    VALUE,
    Schema,
    check,
)
from recsys_core.errors import ConfigError, DataError
from recsys_core.evaluation.cross_validation import compare_over_folds
from recsys_core.evaluation.metric_table import RANKING
from recsys_core.report.sections.method_names import GRAPH_METHOD, SERVED_METHOD
from recsys_core.report.summary import Summary
from recsys_core.report.view_models import flat

PLACES: Final = frozenset({"artifact_root", "runs_root", "run_name", "compare_to", "dry_run"})
"""Parameters that say where a run lies, not what it does."""
MUST_AGREE: Final = ("data.rating_min", "data.rating_max", "data.positive", "data.negative",
                     "split", "evaluation.cutoffs", "evaluation.cold_below")  # fmt: skip
"""What two runs must share, beside the data: otherwise their numbers mean different things."""
CHANGED_USERS: Final = 5
LISTED: Final = 5


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """What the comparison reads of one run."""

    summary: Summary
    per_user: pl.DataFrame
    recommendations: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class ChangedUser:
    """A user whose list changed most: the head of both lists, title and reason."""

    user: int | str
    shared: int
    before: Sequence[tuple[str, str]]
    after: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Run `after` compared with run `before`.

    Attributes:
        before: the summary of the one.
        after: that of the other.
        config: parameter -> its values, of those that differ.
        tests: method and metric -> `columns.COMPARISONS` row; positive: `after` is better.
        overlap: mean share of the top items that both lists of a user have.
        users: users with a list in both runs.
        changed: those whose lists have least in common.
        k: length of the lists that are compared.
    """

    before: Summary
    after: Summary
    config: Mapping[str, tuple[str, str]]
    tests: Sequence[Mapping[str, Any]]
    overlap: float | None
    users: int
    changed: Sequence[ChangedUser]
    k: int


def read_run(folder: Path) -> RunFiles:
    """The files of a run's folder.

    Raises:
        DataError: a file is missing or is not of this version.
    """
    for name in ("summary.json", *_TABLES):
        if not (folder / name).is_file():
            raise DataError(
                f"{folder / name} is not there.",
                expected=f"the folder of a finished run, with summary.json, {', '.join(_TABLES)}.",
                fix="run the pipeline again: runs of 0.1.0 have no per_user.parquet.",
            )
    try:
        summary = Summary.model_validate_json((folder / "summary.json").read_text("utf-8"))
        tables = [
            check(pl.read_parquet(folder / name), schema, table=name)
            for name, schema in _TABLES.items()
        ]
    except (OSError, ValidationError, pl.exceptions.PolarsError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"{folder} cannot be read: {first}",
            expected="the folder of a run of this version.",
            fix="run the pipeline again; what is cached is not computed anew.",
        ) from error
    return RunFiles(summary=summary, per_user=tables[0], recommendations=tables[1])


_TABLES: Final[Mapping[str, Schema]] = {
    "per_user.parquet": METHOD_PER_USER, "recommendations.parquet": RECOMMENDATIONS,
}  # fmt: skip


def compare_runs(before: RunFiles, after: RunFiles, *, k: int = 10, seed: int = 0) -> RunComparison:
    """Compare two runs of the same data, split and measurement.

    Args:
        before: the run that the other is held against.
        after: the other.
        k: length of the lists that are compared.
        seed: of the permutations and resamples.

    Raises:
        ConfigError: they cannot be compared; every reason is named.
    """
    one, two = _parameters(before.summary), _parameters(after.summary)
    _refuse_different(before.summary, after.summary, one, two)
    names = sorted(one.keys() | two.keys())
    overlap = _overlaps(before.recommendations, after.recommendations, k)
    return RunComparison(
        before=before.summary,
        after=after.summary,
        config={
            name: (one.get(name, "-"), two.get(name, "-"))
            for name in names
            if one.get(name) != two.get(name)
        },
        tests=_tests(before.per_user, after.per_user, seed),
        overlap=overlap[VALUE].mean() if overlap.height else None,  # type: ignore[arg-type]
        users=overlap.height,
        changed=_changed(before.recommendations, after.recommendations, overlap),
        k=k,
    )


def _parameters(summary: Summary) -> dict[str, str]:
    return {name: value for name, value in flat(summary.config) if name not in PLACES}


def _refuse_different(
    before: Summary, after: Summary, one: Mapping[str, str], two: Mapping[str, str]
) -> None:
    reasons = []
    if before.data.fingerprint != after.data.fingerprint:
        reasons.append(
            f"the data differ ({before.data.name}, {before.data.interactions:,} ratings, and"
            f" {after.data.name}, {after.data.interactions:,})"
        )
    names = sorted(one.keys() | two.keys())
    shared = [name for name in names if name.startswith(MUST_AGREE)]
    if before.facts.get("split", {}).get("kind") == "random":
        shared.append("seed")  # random folds follow from it
    reasons += [
        f"{name} is {one.get(name, '-')} and {two.get(name, '-')}"
        for name in shared
        if one.get(name) != two.get(name)
    ]
    if reasons:
        raise ConfigError(
            f"{before.run_name} and {after.run_name} cannot be compared: {'; '.join(reasons)}.",
            expected="two runs on the same data, split and cut-offs.",
        )


def _tests(before: pl.DataFrame, after: pl.DataFrame, seed: int) -> list[Mapping[str, Any]]:
    """Per method of both runs and metric; Holm's correction is per method."""
    rows: list[Mapping[str, Any]] = []
    methods = [
        name for name in after[METHOD].unique(maintain_order=True) if name in set(before[METHOD])
    ]
    methods.sort(key=lambda name: (name != SERVED_METHOD, not name.startswith(GRAPH_METHOD)))
    for method in methods:
        found = []
        for metric in RANKING:
            values = {
                name: table.filter((pl.col(METHOD) == method) & (pl.col(METRIC) == metric.name))
                .select(pl.lit(0, pl.Int32).alias(FOLD), USER, VALUE)
                for name, table in (("before", before), ("after", after))
            }  # fmt: skip
            test = compare_over_folds(values, "before", seed=seed).row(0, named=True)
            means = {name: table[VALUE].mean() for name, table in values.items()}
            found.append({**test, METHOD: method, METRIC: metric.name, **means})
        rows += _corrected(found)
    return rows


def _corrected(rows: Sequence[dict[str, Any]]) -> list[Mapping[str, Any]]:
    import numpy as np

    from recsys_core.evaluation.significance import holm

    adjusted = holm(np.array([row["p_value"] for row in rows]))
    return [{**row, "p_adjusted": float(value)} for row, value in zip(rows, adjusted, strict=True)]


def _overlaps(before: pl.DataFrame, after: pl.DataFrame, k: int) -> pl.DataFrame:
    """User and the share of the first k items that both lists have."""
    heads = [table.filter(pl.col(RANK) <= k).select(USER, ITEM) for table in (before, after)]
    users = heads[0].select(USER).unique().join(heads[1].select(USER).unique(), on=USER)
    shared = heads[0].join(heads[1], on=[USER, ITEM]).group_by(USER).agg(pl.len().alias(VALUE))
    length = heads[1].group_by(USER).agg(pl.len().alias(RANK))
    return (
        users.join(shared, on=USER, how="left").join(length, on=USER)
        .select(USER, pl.col(VALUE).fill_null(0) / pl.col(RANK))
        .sort(VALUE, USER)
    )  # fmt: skip


def _changed(before: pl.DataFrame, after: pl.DataFrame, overlap: pl.DataFrame) -> list[ChangedUser]:
    def head(table: pl.DataFrame, user: int | str) -> list[tuple[str, str]]:
        rows = table.filter(pl.col(USER) == user).sort(RANK).head(LISTED)
        return [(title, reason or "") for title, reason in rows.select(TITLE, EXPLANATION).rows()]

    return [
        ChangedUser(user=user, shared=round(100 * share), before=head(before, user),
                    after=head(after, user))
        for user, share in overlap.filter(pl.col(VALUE) < 1).head(CHANGED_USERS).iter_rows()
    ]  # fmt: skip


def as_text(found: RunComparison) -> str:
    """The comparison for a terminal, in Markdown."""
    one, two = found.before, found.after
    lines = [
        f"# {two.run_name} against {one.run_name}", "",
        f"Data: {two.data.name}, {two.data.interactions:,} ratings; protocol `full`.", "",
        "## Configuration that differs", "",
    ]  # fmt: skip
    lines += [f"- {name}: {a} -> {b}" for name, (a, b) in found.config.items()] or ["Nothing."]
    lines += ["", "## Paired tests, user by user", "",
              "| method | metric | before | after | difference | 95 % | p (Holm) | users |",
              "|---|---|--:|--:|--:|---|--:|--:|"]  # fmt: skip
    for row in found.tests:
        lines.append(
            f"| {row[METHOD]} | {row[METRIC]} | {_number(row['before'])} | {_number(row['after'])}"
            f" | {row['difference']:+.4f} | {row['ci_low']:+.4f} to {row['ci_high']:+.4f}"
            f" | {row['p_adjusted']:.4f} | {row['users']} |"
        )
    lines += ["", "## Lists", ""]
    if found.overlap is None:
        lines.append("No user has a list in both runs.")
    else:
        heads = f"The first {found.k} items of {found.users:,} users"
        lines.append(f"{heads} have {found.overlap:.0%} in common.")
    for user in found.changed:
        lines += ["", f"### User {user.user}: {user.shared} % in common"]
        for name, rows in (("before", user.before), ("after", user.after)):
            lines.append(f"- {name}:")
            lines += [f"  {n}. {title}: {reason}" for n, (title, reason) in enumerate(rows, 1)]
    lines += ["", "## Cost and time", "", "| | before | after |", "|---|--:|--:|",
              f"| seconds | {one.seconds:.0f} | {two.seconds:.0f} |",
              f"| steps from the cache | {_cached(one)} | {_cached(two)} |",
              f"| LLM calls | {one.llm.calls:,} | {two.llm.calls:,} |",
              f"| tokens | {_tokens(one):,} | {_tokens(two):,} |",
              f"| dollars | {one.llm.cost_usd:.4f} | {two.llm.cost_usd:.4f} |"]  # fmt: skip
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _cached(summary: Summary) -> str:
    return f"{sum(step.cached for step in summary.steps)} of {len(summary.steps)}"


def _tokens(summary: Summary) -> int:
    return summary.llm.tokens_in + summary.llm.tokens_out
