"""Questions to a finished model that the command line answers by itself, without Prefect."""

import sys
from collections.abc import Sequence
from typing import Any

import polars as pl

from flows.command_line import command
from recsys_core.columns import EXPLANATION, ITEM, RATING, TITLE, USER
from recsys_core.serving.request import RecommendConfig, barred_items, history_of


def answered(argv: Sequence[str], *, program: str, description: str) -> bool:
    """Answer `--history` or `--similar-to`; False where the flow has to.

    Ends the process with its status where the arguments, or the question, cannot be used.
    """
    asked: list[RecommendConfig] = []

    def parse() -> None:
        config = command.parse(argv, program=program, description=description, kind=RecommendConfig)
        config.check_asked()
        asked.append(config)

    status = command.run(parse)
    if status:
        sys.exit(status)
    if not asked[0].is_a_try:
        return False
    status = command.run(lambda: print("\n".join(lines_of(asked[0]))))
    if status:
        sys.exit(status)
    return True


def lines_of(config: RecommendConfig) -> list[str]:
    """The answer as lines.

    Raises:
        ConfigError: the history is no JSON of ratings, or there is no such run.
        DataError: a title is unknown or ambiguous, a rating is none of the scale.
    """
    from recsys_core.serving.product.loading import open_model

    model = open_model(config.run, config.runs_root)
    if config.similar_to is not None:
        return _similar(model, config.similar_to, config.k)
    return _lists(model, config)


def _similar(model: Any, named: str, k: int) -> list[str]:
    from recsys_core.serving.people import item_of
    from recsys_core.serving.similar import similar_items

    item = item_of(model, named)
    title = model.items.filter(pl.col(ITEM) == item)[TITLE][0]
    lines = [f"Like {title} (by {model.uri}):"]
    for rank, one in enumerate(similar_items(model, item, k), 1):
        year = f" ({one.year})" if one.year and f"({one.year})" not in one.title else ""
        shared = ", ".join(one.shares) or "no label in common"
        lines.append(
            f"{rank:3}. {one.title}{year}: {shared}; {one.liked_by} of the {one.of} who like it"
            " like both"
        )
    return lines


def _lists(model: Any, config: RecommendConfig) -> list[str]:
    from recsys_core.serving.answers import recommend
    from recsys_core.serving.people import person
    from recsys_core.serving.visitors import visitors_of

    ratings, user = person(model, history_of(config.history or ""))
    who = pl.DataFrame({USER: [user]}, schema={USER: model.users.schema[USER]})
    found = recommend(
        model, visitors_of(model, ratings=ratings, attributes=who), k=config.k,
        barred=barred_items(config, model),
    )  # fmt: skip
    known = ratings.join(model.items, on=ITEM)
    lines = ["For somebody who rated:"]
    lines += [f"     {row[TITLE]}: {row[RATING]:g}" for row in known.iter_rows(named=True)]
    lines.append(f"({found.status[user]}; model {model.uri})")
    for rank, row in enumerate(found.recommendations.iter_rows(named=True), 1):
        lines.append(f"{rank:3}. {row[TITLE]}: {row[EXPLANATION]}")
    return lines
