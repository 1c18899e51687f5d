"""Evaluate ranked lists from any recommender: `python -m flows.evaluate --help`.

Plain library calls without Prefect: it starts in a second and needs no run folder.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import polars as pl
from pydantic import ValidationError

from flows.command_line.command import run
from recsys_core.columns import (
    CI_HIGH,
    CI_LOW,
    ITEM,
    METRIC,
    PART,
    RANK,
    RATING,
    SCORE,
    USER,
    USERS,
    VALUE,
)
from recsys_core.config import config_error
from recsys_core.datasets.config import DataConfig, Parts, SplitConfig
from recsys_core.datasets.splits import KINDS
from recsys_core.evaluation.protocols import Judgement, ProtocolName, judge


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
    from recsys_core.datasets.locate import table_at
    from recsys_core.datasets.read import read_ids, read_interactions
    from recsys_core.datasets.splits import split_interactions
    from recsys_core.evaluation.list_shapes import like_ids_of, read_lists

    data, split_config = _configs(options)
    rated = read_interactions(options.interactions, data, test=options.test)
    split = split_interactions(rated.table, split_config, options.seed)
    lists = read_lists(table_at(options.recommendations), data.columns)
    judged = judge(
        like_ids_of(lists, rated.table),
        split.known if options.masked == "train+valid" else split.train,
        split.test,
        method=options.method or Path(options.recommendations).name.partition(".")[0],
        protocol=options.protocol,
        cutoffs=(options.k,),
        like_from=rated.scale.like_from,
        max_train_interactions=options.max_train_interactions,
        items=None if (items := _items(options)) is None else read_ids(items),
    )
    return judged, split.kind


def _configs(options: argparse.Namespace) -> tuple[DataConfig, SplitConfig]:
    names = ("feedback", "rating_min", "rating_max", "positive", "columns", "repeats")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    kind = "given" if options.test else options.split
    try:
        return (
            DataConfig(**given),
            SplitConfig(
                kind=kind, fold=options.fold, moment=options.moment, time_share=options.time_share,
                last=options.last,
            ),
        )  # fmt: skip
    except ValidationError as error:
        raise config_error(error) from error


def _items(options: argparse.Namespace) -> str | None:
    """Where all items are: in the file given, or the one beside the interactions, if any."""
    if options.items is not None:
        return str(options.items)
    beside = Path(options.interactions).parent
    found = [beside / f"{stem}.{end}" for stem in ("items", "movies") for end in ("parquet", "csv")]
    return next((str(path) for path in found if path.is_file()), None)


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
    add = partial(parser.add_argument, metavar="FILE")
    ranking = (
        f"{USER}, {ITEM} and {RANK} (1 is best) or {SCORE}; or a row per user with a list of items,"
        " best first; or a TREC run file. Parquet, CSV, TSV or JSON lines"
    )
    interactions = (
        f"{USER}, {ITEM} and, where there is one, {RATING}: all of them, training and test"
    )
    test = f"test interactions, where they lie apart (otherwise --split or a column {PART} tells)"
    items = f"every {ITEM}; default: items or movies beside the interactions, if any"
    columns = "names of the files' columns, such as '{user_id: buyer, item_id: sku}'"
    add("--recommendations", required=True, help=ranking)
    add("--interactions", required=True, help=interactions)
    add("--test", help=test)
    add("--items", help=items)
    parser.add_argument("--columns", metavar="MAPPING", help=columns)
    parser.add_argument("--method", help="name to print; default: the file's name")


def _add_fold(parser: argparse.ArgumentParser) -> None:
    fold = "which of the five folds is the test split (%(default)s)"
    kind = "how test is told, the same as for the lists (%(default)s)"
    seed = "seed of random folds and of the resampling (%(default)s)"
    parser.add_argument("--fold", type=int, default=1, help=fold)
    parser.add_argument("--split", choices=tuple(KINDS), default="auto", help=kind)
    parser.add_argument("--seed", type=_count, default=0, help=seed)
    parser.add_argument("--moment", help="split time: when test begins")
    share = "split time without a moment: share of the interactions before it (%(default)s)"
    parser.add_argument("--time-share", type=float, default=0.8, help=share)
    last = "split last: interactions of each user that are test (%(default)s)"
    parser.add_argument("--last", type=_positive, default=1, help=last)
    masked = "what lists leave out: training, or validation, too (%(default)s)"
    parser.add_argument("--masked", choices=get_args(Parts), default="train+valid", help=masked)
    for end in ("lowest", "highest"):
        name = f"--rating-{'min' if end == 'lowest' else 'max'}"
        parser.add_argument(name, type=float, help=f"{end} rating; default: told from the data")
    feedback = "ratings, or interactions and counts of them (%(default)s)"
    kinds = get_args(DataConfig.model_fields["feedback"].annotation)
    parser.add_argument("--feedback", choices=kinds, default="auto", help=feedback)
    repeats = "what becomes of repeated (user, item) rows"
    parser.add_argument("--repeats", choices=("last", "max", "mean", "sum", "error"), help=repeats)


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
