"""Evaluate ranked lists from any recommender: `python -m flows.evaluate --help`.

Plain library calls without Prefect: it starts in a second and needs no run folder.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, get_args

import polars as pl
from pydantic import ValidationError

from flows._command import run
from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    ITEM,
    METRIC,
    RANK,
    RATING,
    SCORE,
    USER,
    USERS,
    VALUE,
)
from recsys_core.config import config_error
from recsys_core.datasets.config import DataConfig, SplitConfig
from recsys_core.datasets.splits import KINDS
from recsys_core.errors import DataError
from recsys_core.evaluation.protocols import Judgement, ProtocolName, judge
from recsys_core.evaluation.rankings import ranked_by_score

ITEMS_FILE: Final = "items.parquet"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the metrics; 0 if all is well, 2 with one message on stderr if the input is not."""
    options = _parser().parse_args(arguments)
    return run(lambda: _evaluate(options))


def _evaluate(options: argparse.Namespace) -> None:
    judged, kind = _judged(options)
    table = judged.table(bootstrap=options.bootstrap, seed=options.seed)
    summary = _summary(options, judged, kind, table)
    print(json.dumps(summary, indent=1) if options.json else _text(summary))


def _judged(options: argparse.Namespace) -> tuple[Judgement, str]:
    from recsys_core.datasets.contract import validate_interactions
    from recsys_core.datasets.splits import split_interactions

    data, split_config = _configs(options)
    path = options.interactions
    interactions = validate_interactions(_read(path), data, place=str(path))
    split = split_interactions(interactions, split_config, options.seed)
    judged = judge(
        _ranking(options.recommendations),
        split.known,
        split.test,
        method=options.method or options.recommendations.stem,
        protocol=options.protocol,
        cutoffs=(options.k,),
        like_from=data.scale.like_from,
        max_train_interactions=options.max_train_interactions,
        items=_items(options),
    )
    return judged, split.kind


def _configs(options: argparse.Namespace) -> tuple[DataConfig, SplitConfig]:
    scale = {"rating_min": options.rating_min, "rating_max": options.rating_max}
    try:
        return (
            DataConfig(positive=options.positive, **scale),
            SplitConfig(kind=options.split, fold=options.fold),
        )
    except ValidationError as error:
        raise config_error(error) from error


def _ranking(path: Path) -> pl.DataFrame:
    """The list in a file, ranked by its scores where it has no ranks."""
    ranking = _read(path)
    missing = {USER, ITEM} - set(ranking.columns)
    if missing or not {RANK, SCORE} & set(ranking.columns):
        raise DataError(
            f"{path} has the columns {', '.join(ranking.columns) or '(none)'}.",
            expected=f"{USER}, {ITEM} and {RANK} (or {SCORE}).",
            fix="rename the columns.",
        )
    return ranking if RANK in ranking.columns else ranked_by_score(ranking)


def _items(options: argparse.Namespace) -> pl.Series | None:
    """Ids of all items: from the file given, or the one beside the interactions, if any."""
    beside = options.interactions.parent / ITEMS_FILE
    path = options.items or (beside if beside.is_file() else None)
    if path is None:
        return None
    table = _read(path)
    if ITEM not in table.columns:
        raise DataError(f"{path} has no column {ITEM}.", expected="a table of items.")
    return table[ITEM]


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            f"{path} cannot be read: {error}", expected="a Parquet file.", fix="check the path."
        ) from error


def _summary(
    options: argparse.Namespace, judged: Judgement, kind: str, table: pl.DataFrame
) -> dict[str, Any]:
    rows = {row[METRIC]: row for row in table.iter_rows(named=True)}
    return {
        "method": judged.method, "protocol": judged.protocol, "split": kind, "fold": options.fold,
        "k": options.k, "test_users": judged.users.len(),
        "metrics": {name: row[VALUE] for name, row in rows.items()},
        "intervals": {name: [row[CI_LOW], row[CI_HIGH]] for name, row in rows.items()},
        "users": {name: row[USERS] for name, row in rows.items()},
        "notes": judged.notes,
    }  # fmt: skip


def _text(summary: dict[str, Any]) -> str:
    head = (
        f"{summary['method']}: protocol {summary['protocol']}, {summary['split']} split,"
        f" fold {summary['fold']}, {summary['test_users']} test users"
    )
    lines = [head, f"{'metric @ ' + str(summary['k']):<16}{'value':>8}   95 % interval     users"]
    for name, value in summary["metrics"].items():
        low, high = summary["intervals"][name]
        lines.append(
            f"{name:<16}{_number(value):>8}   {_number(low)} to {_number(high)}"
            f"{summary['users'][name]:>8}"
        )
    lines += [f"note: {name} = {count}" for name, count in summary["notes"].items() if count]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "     -" if value is None else f"{value:.4f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flows.evaluate",
        description="Metrics of ranked lists against a fold of the interactions.",
    )
    _add_files(parser)
    _add_fold(parser)
    _add_measure(parser)
    return parser


def _add_files(parser: argparse.ArgumentParser) -> None:
    add = partial(parser.add_argument, type=Path, metavar="FILE")
    ranking = f"Parquet with {USER}, {ITEM} and {RANK} (1 is best), or a {SCORE} in its place"
    interactions = f"Parquet with {USER}, {ITEM}, {RATING}: all of them, training and test"
    items = f"Parquet with every {ITEM}; default: {ITEMS_FILE} beside the interactions, if any"
    add("--recommendations", required=True, help=ranking)
    add("--interactions", required=True, help=interactions)
    add("--items", help=items)
    parser.add_argument("--method", help="name to print; default: the file's name")


def _add_fold(parser: argparse.ArgumentParser) -> None:
    fold = "which of the five folds is the test split (%(default)s)"
    kind = "how the folds are made, the same as for the lists (%(default)s)"
    seed = "seed of random folds and of the resampling (%(default)s)"
    lowest, highest = (f"{end} rating of the scale (%(default)s)" for end in ("lowest", "highest"))
    parser.add_argument("--fold", type=int, default=1, help=fold)
    parser.add_argument("--split", choices=tuple(KINDS), default="auto", help=kind)
    parser.add_argument("--seed", type=_count, default=0, help=seed)
    parser.add_argument("--rating-min", type=float, default=1.0, help=lowest)
    parser.add_argument("--rating-max", type=float, default=5.0, help=highest)


def _add_measure(parser: argparse.ArgumentParser) -> None:
    protocol = "full: rank all unseen items; condensed: keep only items rated in test (%(default)s)"
    cold = "only users with at most N training interactions (9: the paper's cold-start users)"
    positive = "ratings from here up are relevant; default: three quarters up the scale"
    resamples = "resamples of the users for the intervals (%(default)s)"
    names = get_args(ProtocolName)
    parser.add_argument("--protocol", choices=names, default="full", help=protocol)
    parser.add_argument("--max-train-interactions", type=_count, metavar="N", help=cold)
    parser.add_argument("--k", type=_positive, default=10, help="cut-off (%(default)s)")
    parser.add_argument("--positive", type=float, help=positive)
    parser.add_argument("--bootstrap", type=_count, default=1000, help=resamples)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def _positive(text: str) -> int:
    number = _count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("it must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
