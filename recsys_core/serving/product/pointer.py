"""Which model serves: `served` beside `latest` in the folder of the runs, moved by promotion.

`served.json` holds the names of the runs that served, the last one last: going back is taking the
last name off. The file alone counts; it is replaced in one rename.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from recsys_core.artifacts import MANIFEST, has_manifest, local_folder, storage_error
from recsys_core.errors import ConfigError, StorageError
from recsys_core.processes import temporary_name
from recsys_core.serving.product.contract import STEP

SERVED: Final = "served"
LATEST: Final = "latest"
POINTER: Final = "served.json"
_SUMMARY: Final = "summary.json"
_KEPT: Final = 50
"""Promotions that are remembered."""


class Promotion(BaseModel):
    """One run that serves, or served."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    at: datetime
    why: str


class _Pointer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    promotions: tuple[Promotion, ...]


def promotions(runs_root: str) -> tuple[Promotion, ...]:
    """The runs that served, the one that serves now last; empty if none was promoted.

    Raises:
        ConfigError: the pointer cannot be read.
    """
    path = _root(runs_root) / POINTER
    try:
        return _Pointer.model_validate_json(path.read_text("utf-8")).promotions
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            expected="the runs that served, as promotion writes them.",
            fix="remove it, and promote a run (python -m deployments.promote RUN).",
        ) from error


def promote(runs_root: str, run: str, why: str) -> Promotion:
    """Let a run serve; its model must be there.

    Raises:
        ConfigError: there is no such run under `runs_root`, or it has no model to serve.
    """
    base = _root(runs_root)
    name = (base / run).resolve().name
    if (base / name).resolve().parent != base.resolve() or not (base / name).is_dir():
        raise ConfigError(
            f"There is no run {run!r} in {base}.", expected="the name of a run in that folder.",
            fix=f"name one of {', '.join(_names(base)) or 'its runs; it has none'}.",
        )  # fmt: skip
    product_of(name, runs_root)
    before = promotions(runs_root)
    made = Promotion(run=name, at=datetime.now(UTC), why=why)
    _write(base, (*before, made))
    return made


def roll_back(runs_root: str) -> Promotion:
    """Let the run serve that served before.

    Raises:
        ConfigError: no other run served before, or its model is gone.
    """
    now = promotions(runs_root)
    if len(now) < 2:
        raise ConfigError(
            f"No other run served before {now[-1].run}." if now else "No run serves yet.",
            expected="two promotions at least.",
            fix="promote a run by name.",
        )
    product_of(now[-2].run, runs_root)
    _write(_root(runs_root), now[:-1])
    return now[-2]


def product_of(place: str, runs_root: str | None = None) -> str:
    """URI of the served model that `place` names.

    Args:
        place: URI or folder of a served model, folder of a run, or (with `runs_root`) the name of
            a run, `latest` or `served`; `served` is `latest` while nothing was promoted.
        runs_root: folder of the runs.

    Raises:
        ConfigError: there is none.
    """
    if "://" in place:
        if has_manifest(place):
            return place
        raise _none(place, "there is no manifest")
    if place == SERVED and runs_root is not None:
        promoted = promotions(runs_root)
        place = promoted[-1].run if promoted else LATEST
    under = None if runs_root is None else _root(runs_root) / place
    folder = under if under is not None and under.is_dir() else Path(place).expanduser()
    if (folder / MANIFEST).is_file():
        return str(folder.resolve())
    found = _models(folder, place)
    if not found:
        raise _none(place, "it trained no model that can be served, or before models were kept")
    uri = found[-1]  # of a run that refits, the last one is served
    if not has_manifest(uri):
        raise _none(place, f"its model at {uri} is gone")
    return uri


def _models(folder: Path, place: str) -> list[str]:
    try:
        told: Any = json.loads((folder / _SUMMARY).read_text("utf-8"))
        return [one["artifact"] for one in told["steps"] if one["step"] == STEP]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _none(place, f"{folder / _SUMMARY} cannot be read ({error})") from error


def _none(place: str, why: str) -> ConfigError:
    return ConfigError(
        f"{place!r} names no model to serve: {why}.",
        expected="`latest`, `served`, the name or folder of a finished run, or the URI of a served"
        " model.",
        fix="run `python -m flows.personalize` first, or correct the name.",
    )


def _names(base: Path) -> list[str]:
    try:
        found = [one for one in base.iterdir() if (one / _SUMMARY).is_file()]
    except OSError:
        return []
    return sorted(one.name for one in found if not one.is_symlink())[-5:]


def _root(runs_root: str) -> Path:
    found = local_folder(runs_root)
    if found is None:
        raise StorageError(
            f"The folder of the runs {runs_root} is remote.", expected="a folder.",
            fix="give the URI of a served model instead of the name of a run.",
        )  # fmt: skip
    return found


def _write(base: Path, kept: tuple[Promotion, ...]) -> None:
    fresh = base / temporary_name(POINTER)
    try:
        fresh.write_text(_Pointer(promotions=kept[-_KEPT:]).model_dump_json(indent=1), "utf-8")
        fresh.replace(base / POINTER)
    except OSError as error:
        raise storage_error(str(base / POINTER), error) from error
