"""An earlier run's model, for a warm start; named in the configuration, handed on as references."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from recsys_core.artifacts import open_artifact
from recsys_core.columns import ITEM, USER
from recsys_core.config import RunConfig
from recsys_core.errors import ConfigError
from tasks.runtime.references import HeldOutRef, ModelRef, SplitRef
from tasks.runtime.run_folder import SUMMARY_FILE

if TYPE_CHECKING:
    from recsys_core.graph.training.warm_start import Start

WARM: Final = "warm_started"
"""Fact of a model: whether it went on from an earlier one."""
_SPLITS: Final = ("split", "split_everything")


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """A trained model, and the interactions that it was trained on."""

    model: ModelRef
    split: SplitRef


def earlier_model(config: RunConfig, *, refit: bool = False) -> Earlier | None:
    """The model of the run that `graph.warm_start_from` names, or None where it names none.

    Args:
        config: the run's parameters.
        refit: the last model of that run (trained on everything, if it was refitted), instead of
            the first one, which some interactions were held out of.

    Raises:
        ConfigError: there is no such run, or it trained no model.
        DamagedArtifact: its model or its split is gone or altered.
    """
    if config.graph.warm_start_from is None:
        return None
    steps = _steps(config.graph.warm_start_from, config.runs_root)
    models = [uri for step, uri in steps if step == "train"]
    if not models:
        raise _no_run(config.graph.warm_start_from, "it names no trained model")
    model = open_artifact(models[-1 if refit else 0]).as_type(ModelRef)
    for uri in (uri for step, uri in steps if step in _SPLITS):
        split = open_artifact(uri).as_type(SplitRef)
        if split.content_hash == model.manifest.inputs["split"]:
            return Earlier(model=model, split=split)
    raise _no_run(config.graph.warm_start_from, "it names no split that its model was trained on")


def honest_start(
    earlier: Earlier | None, *, split: SplitRef, held_out: HeldOutRef | None
) -> tuple[ModelRef | None, str]:
    """The earlier model, unless it would spoil what this run holds out; and the reason.

    A model that has seen rows of validation or test would stop by what it knows by heart, and the
    report's figures would flatter. This is decided before the training, which sees no test row.

    Args:
        earlier: the model of an earlier run; None where none is asked for.
        split: this run's training and validation rows.
        held_out: its test rows; None where nothing is held out.
    """
    if earlier is None:
        return None, "not asked for"
    parts = [split.table("valid")] + ([held_out.table("test")] if held_out else [])
    rows = pl.concat(parts).select(USER, ITEM)
    if rows.height and earlier.model.manifest.facts.get(WARM):
        return None, "not used: the earlier model went on from another one, whose rows are unknown"
    seen = pl.concat([earlier.split.table("train"), earlier.split.table("valid")])
    known = rows.join(seen, on=[USER, ITEM], how="semi").height if rows.height else 0
    if known:
        return None, f"not used: the earlier model was trained on {known} of the held-out rows"
    return earlier.model, "used"


def start_of(earlier: ModelRef | None) -> "Start | None":
    """The parameters that training goes on from."""
    if earlier is None:
        return None
    from recsys_core.graph.training.warm_start import Start

    ids = earlier.table("users")[USER], earlier.table("items")[ITEM]
    return Start.from_bytes(earlier.data("weights.safetensors"), *ids)


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
