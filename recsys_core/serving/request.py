"""`RecommendConfig`: for whom lists are wanted, from which model, among which items."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import polars as pl
from pydantic import Field

from recsys_core.columns import ITEM
from recsys_core.config.run import Place, RunName, artifacts_place, runs_place
from recsys_core.datasets.contract import validate_items, validate_users
from recsys_core.datasets.locate import table_at
from recsys_core.datasets.read import read_ids, read_interactions, read_table
from recsys_core.errors import ConfigError, DataError
from recsys_core.llm.config import LLMConfig
from recsys_core.section import Section
from recsys_core.serving.product.model import ServedModel
from recsys_core.small_files import read_small_text

_ASKED: Final = "users, interactions, history or similar_to"


class RecommendConfig(Section):
    """Lists from a finished run, without training."""

    # Steps are told what the files hold (`fingerprint`); where they lie is no part of a key.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "run", "users", "interactions", "user_attributes", "items", "history", "similar_to",
        "candidates", "exclude", "llm", "artifact_root", "runs_root", "run_name", "retrain_after",
        "ratings_now",
    })  # fmt: skip

    run: str = "served"
    """The model: `served` (the promoted run; the last one while none is), `latest`, the name or
    folder of a run, or the URI of a served model."""
    users: str | None = None
    """Known users whose lists are wanted: `12,57`, or `@FILE` with an id per line."""
    interactions: str | None = None
    """File with new ratings of known or new users, in the columns of the run's data."""
    user_attributes: str | None = None
    """File with what is known of new users beside their ratings, in the columns of the run's table
    of users."""
    items: str | None = None
    """File with items that came since; they are placed by their texts."""
    history: str | None = None
    """Ratings of one person to try it out, as JSON: `[{"title": "Alien", "rating": 5}, ...]`, or
    `item_id` in place of the title. Needs no Prefect."""
    similar_to: str | None = None
    """A title or item_id: the items that the model holds most alike. Needs no Prefect."""
    candidates: str | None = None
    """File with the only items that may be recommended."""
    exclude: str | None = None
    """File with items that may not be recommended."""
    k: int = Field(default=10, ge=1, le=1000)
    """Length of each list."""
    llm: LLMConfig = LLMConfig()
    """Who writes profiles of these users and reasons, and judges where the run's probe found that
    it pays. Rules unless a model is named."""
    retrain_after: float = Field(default=0.1, gt=0)
    """Share of new ratings from which on the summary says to retrain, and the event
    `recsys.model.outdated` is sent."""
    ratings_now: int | None = Field(default=None, ge=0)
    """How many ratings the data have now, where the watch has counted them. Default: the model's
    and those of `interactions` that it does not have."""
    artifact_root: Place = Field(default_factory=artifacts_place)
    """Folder or URI of the artifacts."""
    runs_root: Place = Field(default_factory=runs_place)
    """Folder of the runs' outputs."""
    run_name: RunName | None = None
    """Name of the folder with the lists. Default: the time."""

    @property
    def is_a_try(self) -> bool:
        """Whether it is answered on the command line, without Prefect."""
        return self.history is not None or self.similar_to is not None

    def check_asked(self) -> None:
        """Refuse a request that asks for nothing, or for two things.

        Raises:
            ConfigError: it does.
        """
        whom = [
            name for name in ("users", "interactions", "user_attributes") if getattr(self, name)
        ]
        tries = [name for name in ("history", "similar_to") if getattr(self, name) is not None]
        if not whom and not tries:
            raise ConfigError(
                "Nobody is named.", expected=f"one of {_ASKED}.",
                fix="name known users (--users 12,57), or give ratings (--interactions FILE, or"
                """ --history '[{"title": "Alien", "rating": 5}]').""",
            )  # fmt: skip
        if len(tries) > 1 or (tries and whom):
            raise ConfigError(
                f"{' and '.join([*tries, *whom])} are two questions.", expected=f"{_ASKED}.",
                fix="ask them one after the other.",
            )  # fmt: skip


def wanted_users(given: str | None) -> pl.Series | None:
    """The ids of `12,57` or of the lines of `@FILE`; None for none.

    Raises:
        DataError: the file cannot be read, or no id is in it.
    """
    if given is None:
        return None
    text = given
    if given.startswith("@"):
        try:
            text = read_small_text(given[1:])
        except (OSError, ValueError) as error:
            raise DataError(
                f"{given[1:]} cannot be read: {error}", expected="a text file with an id per line."
            ) from error
    ids = [one.strip() for one in text.replace("\n", ",").split(",") if one.strip()]
    if not ids:
        raise DataError(f"{given!r} names no user.", expected="ids such as 12,57, or @FILE.")
    return pl.Series(ids, dtype=pl.String)


def new_ratings(config: RecommendConfig, model: ServedModel) -> pl.DataFrame | None:
    """The file of new ratings, read and checked as the run's data were.

    Raises:
        DataError: it cannot be read or breaks the contract.
    """
    if config.interactions is None:
        return None
    data = model.config.data.model_copy(
        update={"min_user_interactions": 0, "min_item_interactions": 0}
    )
    return read_interactions(config.interactions, data, need_likes=False).table


def told_attributes(config: RecommendConfig) -> pl.DataFrame | None:
    """The file of new users' attributes."""
    if config.user_attributes is None:
        return None
    return validate_users(read_table(config.user_attributes, "users"), place=config.user_attributes)


def told_items(config: RecommendConfig, model: ServedModel) -> pl.DataFrame | None:
    """The file of new items, read and checked as the run's items were."""
    if config.items is None:
        return None
    frame = read_table(config.items, "items", model.config.data)
    return validate_items(frame, model.config.data, place=config.items)


def fingerprint(config: RecommendConfig) -> dict[str, Any]:
    """Hashes of the files that a request names, and its users."""
    files = ("interactions", "user_attributes", "items", "candidates", "exclude")
    found: dict[str, Any] = {
        name: None if (place := getattr(config, name)) is None else table_at(place).digest()
        for name in files
    }
    users = wanted_users(config.users)
    return found | {"users": None if users is None else users.to_list(), "k": config.k}


def barred_items(config: RecommendConfig, model: ServedModel) -> Any:
    """(n_items,) items that `candidates` and `exclude` leave out; None for none.

    Raises:
        DataError: nothing is left, or no id of a file is one of the model's.
    """
    if config.candidates is None and config.exclude is None:
        return None
    ids = model.items[ITEM]
    barred = pl.repeat(value=False, n=ids.len(), eager=True)
    for place, only in ((config.candidates, True), (config.exclude, False)):
        if place is not None:
            named = read_ids(place).cast(ids.dtype, strict=False).drop_nulls()
            inside = ids.is_in(named.implode())
            if not inside.any():
                raise DataError(
                    f"None of the ids of {place} is an item of the model.",
                    expected=f"a column of ids of type {ids.dtype}.",
                    fix="check the file's column of items.",
                )
            barred = barred | (~inside if only else inside)
    return barred.to_numpy()


def history_of(text: str) -> Sequence[dict[str, Any]]:
    """The ratings of `history`.

    Raises:
        ConfigError: it is not such JSON.
    """
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _no_history(str(error)) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _no_history("it is no list of ratings")
    return rows


def _no_history(why: str) -> ConfigError:
    return ConfigError(
        f"The history cannot be read: {why}.",
        expected='JSON such as [{"title": "Alien", "rating": 5}, {"item_id": 12, "rating": 1}].',
        fix="put it into single quotes on the command line.",
    )
