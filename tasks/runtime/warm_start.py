"""Warm start: which earlier model a training goes on from, by how much, and whether it may.

Held-out rows stay held out under the splits by hash, so that the last model of the same data and
configuration has nearly never seen one; of a user who had too few rows for that, and of other
splits, it may have. This is decided before the training, which sees no test row.
"""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import ITEM, RATING, USER, VALUE
from recsys_core.config import RunConfig
from recsys_core.errors import ConfigError
from recsys_core.interactions.feedback import RatingScale
from recsys_core.interactions.lookup import aligned
from tasks.runtime.references import EmbeddingsRef, HeldOutRef, ModelRef, SplitRef
from tasks.runtime.runs.last_runs import SERVED, LastRun, LastRuns, knows, moved_rows
from tasks.runtime.runs.run_folder import SUMMARY_FILE
from tasks.runtime.saved_models import SEARCHED

if TYPE_CHECKING:
    from recsys_core.graph.training.phases import Earlier as EarlierTraining

BEST_EPOCH: Final = "best_epoch"
CHOICE: Final = "choice"
SETTINGS: Final = "settings"
"""Of a choice: those of its dot-product components, which earlier versions did not choose."""
"""Fact: the components and weights that validation chose; null without components."""
WENT_ON: Final = "went_on_from"
"""Fact: the run whose choices and parameters a training went on from; null where it chose anew."""
OWED: Final = "epochs_owed"
"""Fact: share of the epochs of a full training that the changes since the last one are worth and
that were not trained for yet."""
VALIDATED_USERS: Final = "validated"
"""Table: validation NDCG per user when components and weights were chosen."""
_MOST_SEEN: Final = 0.01
"""Share of the validation rows that an earlier model may have learned from, at most (a user's rows
move between the parts where they are few). Their users' own parameters are left behind. Of the
test rows it may have learned from none."""
_NOW: Final = "_now"
_ROUNDING: Final = 1e-9
_ROLES: Final = {
    "split": "split", "split_everything": f"{SERVED}split", "embeddings": "embeddings",
    "attribute": "attributions",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A trained model, what it was trained on, and what it was told of the items."""

    run: str
    model: ModelRef
    split: SplitRef
    embeddings: EmbeddingsRef


def last_run(config: RunConfig, split: SplitRef) -> LastRun | None:
    """The run to go on from: the one that is named, else the last of the same configuration."""
    if config.graph.warm_start_from is not None:
        return named_run(config)
    return LastRuns(config).of_these_data(split)


def named_run(config: RunConfig) -> LastRun | None:
    """The run that `graph.warm_start_from` names, or None where it names none.

    Raises:
        ConfigError: there is no such run, or it trained no model.
    """
    name = config.graph.warm_start_from
    if name is None:
        return None
    steps = _steps(name, config.runs_root)
    artifacts = {_ROLES[step]: uri for step, uri in steps if step in _ROLES}
    for role in ("train", "candidates"):
        made = [uri for step, uri in steps if step == role]
        artifacts |= dict(zip((role, f"{SERVED}{role}"), made, strict=False))
    if "train" not in artifacts:
        raise _no_run(name, "it names no trained model")
    if "split" not in artifacts or "embeddings" not in artifacts:
        raise _no_run(name, "it names no split or no embeddings that its model was trained on")
    artifacts[f"{SERVED}embeddings"] = artifacts["embeddings"]
    return LastRun(run=name, source="", artifacts=artifacts)


def honest_start(
    last: LastRun | None,
    config: RunConfig,
    *,
    split: SplitRef,
    held_out: HeldOutRef | None,
    tuned: ModelRef | None = None,
) -> tuple[Earlier | None, str]:
    """The earlier model, unless it would spoil what this run holds out; and the reason in words.

    A model that has seen rows of validation or test would stop by what it knows by heart, and the
    report's figures would flatter.

    Args:
        last: the run to go on from.
        config: says whether any is wanted.
        split: this run's training and validation rows.
        held_out: its test rows; None where nothing is held out.
        tuned: the model of this run's first pass, where this is the second; both choose anew, or
            neither does.
    """
    if not config.graph.warm_start and config.graph.warm_start_from is None:
        return None, "switched off"
    if last is None:
        return None, "there is no earlier run of this configuration and these data"
    earlier = _left(last, served=held_out is None)
    if earlier is None:
        return None, f"not used: what the run {last.run} left is gone"
    why = _unfit(earlier, split, tuned)
    if why:
        return None, f"not used: {why}"
    fits, told = _knows_nothing_held_out(earlier, split, held_out)
    return (earlier, f"used: {told}") if fits else (None, f"not used: {told}")


def _left(last: LastRun, *, served: bool) -> Earlier | None:
    """What a run left, where all of it is still there."""
    model, split = last.model(served=served), last.split(served=served)
    texts = last.embeddings(served=served)
    if model is None or split is None or texts is None:
        return None
    return Earlier(run=last.run, model=model, split=split, embeddings=texts)


def _unfit(earlier: Earlier, split: SplitRef, tuned: ModelRef | None) -> str:
    """Why a model cannot be gone on from, whatever is held out; empty where it can."""
    facts = earlier.model.manifest.facts
    chosen = facts.get(CHOICE)
    current = OWED in facts and (chosen is None or SETTINGS in chosen)
    if not current or not facts.get(BEST_EPOCH):
        return f"the model of {earlier.run} is of an earlier version"
    if not knows(earlier.split, split):
        return f"{earlier.run} knew none of these interactions"
    if tuned is None:
        return ""
    own = tuned.manifest.facts
    same = own.get(WENT_ON) is not None and own[CHOICE] == facts[CHOICE]
    return "" if same else "components and weights were chosen anew"


def _knows_nothing_held_out(
    earlier: Earlier, now: SplitRef, held_out: HeldOutRef | None
) -> tuple[bool, str]:
    """Whether the model may be gone on from, and what it learned from; or its run's name."""
    if held_out is None:
        return True, earlier.run
    seen, of = _seen(earlier.split.known, held_out.table("test"))
    if seen:
        return False, f"the model of {earlier.run} learned from {seen} of {of} test rows"
    seen, of = _seen(earlier.split.table("train"), now.table("valid"))
    told = f"the model of {earlier.run} learned from {seen} of the {of} validation rows"
    return seen <= _MOST_SEEN * of, told if seen else earlier.run


def _seen(learned: pl.DataFrame, held_out: pl.DataFrame) -> tuple[int, int]:
    """How many held-out rows were learned from, of how many."""
    pairs = [USER, ITEM]
    return held_out.join(learned.select(pairs), on=pairs, how="semi").height, held_out.height


def changed_share(before: SplitRef, now: SplitRef) -> float:
    """Interactions that came, went or have another rating, relative to those known today."""
    columns = [USER, ITEM, RATING]
    old, new = (one.known.select(columns) for one in (before, now))
    come = new.join(old, on=columns, how="anti").height
    gone = old.join(new, on=[USER, ITEM], how="anti").height
    return (come + gone) / max(1, new.height)


def going_on(
    earlier: Earlier,
    now: SplitRef,
    *,
    relevant: pl.DataFrame,
    users: pl.Series,
    features: str,
    fall: float,
) -> tuple["EarlierTraining", float]:
    """The earlier training as the library reads it, and the share of its epochs that stays owed.

    It goes on for the whole epochs that all changes since the full training amount to: after a
    change of a tenth of the interactions, a tenth of its epochs.

    Args:
        earlier: what an earlier run left.
        now: today's training and validation rows.
        relevant: today's `relevant_items`.
        users: (n_users,) today's users.
        features: name of the table of what items are described by.
        fall: share of the validation NDCG that may be lost.
    """
    from recsys_core.graph.inference.saved_model import COMPONENTS_FILE, WEIGHTS_FILE
    from recsys_core.graph.training.phases import Earlier as EarlierTraining
    from recsys_core.graph.training.score_sum import Choice
    from recsys_core.graph.training.warm_start import Start

    facts = earlier.model.manifest.facts
    searched, chosen = int(facts[BEST_EPOCH]), facts[CHOICE]
    owed = float(facts[OWED]) + changed_share(earlier.split, now)
    epochs = min(searched, int(owed * searched + _ROUNDING))
    known, items = earlier.model.table("users")[USER], earlier.model.table("items")[ITEM]
    start = partial(
        Start.from_bytes,
        user_ids=known,
        item_ids=items,
        item_text=aligned(earlier.embeddings.table(features), items),
        forgotten=moved_rows(earlier.split, now)[USER].unique().sort(),
        share=epochs / searched,
    )
    search, served = (
        start(
            earlier.model.data(f"{prefix}{WEIGHTS_FILE}"),
            earlier.model.data(f"{prefix}{COMPONENTS_FILE}"),
        )
        for prefix in (SEARCHED, "")
    )
    training = EarlierTraining(
        search=search,
        served=served,
        choice=None if chosen is None else Choice(**chosen),
        epochs=epochs,
        searched=searched,
        ndcg=_as_then(earlier.model.table(VALIDATED_USERS), relevant, users),
        fall=fall,
    )
    return training, owed - epochs / searched


def relevant_items(valid: pl.DataFrame, ratings: RatingScale) -> pl.DataFrame:
    """USER and the list of ITEM that they like among the validation rows."""
    liked = valid.filter(pl.col(RATING) >= ratings.like_from)
    return liked.group_by(USER).agg(pl.col(ITEM).sort()).sort(USER)


def validated(
    relevant: pl.DataFrame, users: pl.Series, ndcg: npt.NDArray[np.float64]
) -> pl.DataFrame:
    """`columns.VALIDATED` of the users who are validated.

    Args:
        relevant: their `relevant_items`.
        users: (n_users,) ids.
        ndcg: (n_users,) NaN for who is not validated.
    """
    values = pl.DataFrame({USER: users, VALUE: pl.Series(ndcg, nan_to_null=True)})
    return relevant.join(values.drop_nulls(), on=USER, maintain_order="left")


def _as_then(
    before: pl.DataFrame, relevant: pl.DataFrame, users: pl.Series
) -> npt.NDArray[np.float64]:
    """(n_users,) the earlier NDCG of users who are validated by the same items, else NaN."""
    same = before.join(relevant.rename({ITEM: _NOW}), on=USER).filter(pl.col(ITEM) == pl.col(_NOW))
    placed = users.to_frame(USER).join(same, on=USER, how="left", maintain_order="left")
    return placed[VALUE].fill_null(np.nan).to_numpy()


def _steps(run: str, root: str) -> list[tuple[str, str]]:
    """(step, URI of its artifact) of the run with this name or folder."""
    named = Path(root).expanduser() / run
    file = (named if named.is_dir() else Path(run).expanduser()) / SUMMARY_FILE
    try:
        return [(one["step"], one["artifact"]) for one in json.loads(file.read_text())["steps"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_run(run, f"{file} cannot be read ({error})") from error


def _no_run(run: str, why: str) -> ConfigError:
    return ConfigError(
        f"graph.warm_start_from is {run!r}, but {why}.",
        expected="the name of a run under runs_root, or a run's folder, that trained a model.",
        fix="name a finished run of `personalize` (`latest` is the last one), or leave it out.",
    )
