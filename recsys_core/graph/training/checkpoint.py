"""Checkpoints: the state of a training run, written so that a killed run can resume exactly.

A checkpoint is one safetensors file. Its header holds the rest of the state as JSON, the
fingerprint of what was being trained, and a hash of everything: a truncated, altered or foreign
file is told in the log and the training starts from its beginning. No pickle is read or written.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from recsys_core.artifacts import Scratch, content_hash
from recsys_core.errors import StorageError
from recsys_core.graph.model.gat import GAT
from recsys_core.graph.training.spec import Fit, Row, TrainingSpec
from recsys_core.graph.training.warm_start import Start

_FORMAT: Final = 1
_FINGERPRINT: Final = "fingerprint"
_VALUES: Final = "values"
_HASH: Final = "sha256"
_MODEL: Final = "model"
_MOMENTS: Final = "optimiser"
_RANDOM: Final = "random"
_BEST: Final = "best"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SavedState:
    """What a checkpoint holds.

    Attributes:
        tensors: parameters, moments, states of random generators, by a name like `model/ids`.
        values: what JSON can hold; floats come back as the same floats.
    """

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]


@dataclass
class TrainingState:
    """Everything that the next epoch depends on.

    Attributes:
        model: its parameters.
        optimiser: its moments.
        schedule: of the learning rate.
        generator: of the negatives; dropout draws from torch's global one.
        epoch: epochs that are done.
        since_best: validations since the best one.
        best: the best epoch so far.
        curves: a row per epoch.
    """

    model: GAT
    optimiser: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR
    generator: torch.Generator
    epoch: int = 0
    since_best: int = 0
    best: Fit | None = None
    curves: list[Row] = field(default_factory=list)


def snapshot(now: TrainingState) -> SavedState:
    """The current state, to be written."""
    state, best = now.optimiser.state_dict(), now.best
    tensors = {f"{_MODEL}/{name}": one for name, one in now.model.state_dict().items()}
    for number, moments in state["state"].items():
        tensors |= {f"{_MOMENTS}/{number}/{name}": one for name, one in moments.items()}
    tensors |= {f"{_RANDOM}/{name}": one for name, one in _random_states(now).items()}
    if best is not None:
        tensors |= {f"{_BEST}/{_MODEL}/{name}": one for name, one in best.weights.items()}
        tensors[f"{_BEST}/users"] = torch.from_numpy(best.user_vectors)
        tensors[f"{_BEST}/items"] = torch.from_numpy(best.item_vectors)
    values = {
        "epoch": now.epoch,
        "since_best": now.since_best,
        "curves": now.curves,
        "best": best and {"epoch": best.epoch, "ndcg": best.ndcg},
        "groups": state["param_groups"],
        "schedule": now.schedule.state_dict(),
    }
    return SavedState(tensors=tensors, values=values)


def restore(now: TrainingState, state: SavedState) -> None:
    """Restore what `snapshot` captured."""
    values, best = state.values, state.values["best"]
    now.model.load_state_dict(_under(state, _MODEL))
    now.optimiser.load_state_dict({"state": _moments(state), "param_groups": values["groups"]})
    now.schedule.load_state_dict(values["schedule"])
    random = _under(state, _RANDOM)
    now.generator.set_state(random["negatives"])
    torch.set_rng_state(random["torch"])
    if "cuda" in random:
        torch.cuda.set_rng_state(random["cuda"], now.generator.device)
    now.epoch, now.since_best, now.curves = values["epoch"], values["since_best"], values["curves"]
    if best is not None:
        now.best = Fit(
            weights=_under(state, f"{_BEST}/{_MODEL}"),
            user_vectors=state.tensors[f"{_BEST}/users"].numpy(),
            item_vectors=state.tensors[f"{_BEST}/items"].numpy(),
            epoch=best["epoch"],
            ndcg=best["ndcg"],
            curves=[],
        )


def _random_states(now: TrainingState) -> dict[str, torch.Tensor]:
    states = {"negatives": now.generator.get_state(), "torch": torch.get_rng_state()}
    if now.generator.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(now.generator.device)
    return states


def _under(state: SavedState, prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}/"
    found = state.tensors.items()
    return {name.removeprefix(start): one for name, one in found if name.startswith(start)}


def _moments(state: SavedState) -> dict[int, dict[str, Any]]:
    moments: dict[int, dict[str, Any]] = {}
    for path, one in _under(state, _MOMENTS).items():
        number, _, name = path.partition("/")
        moments.setdefault(int(number), {})[name] = one
    return moments


class Checkpoint:
    """The checkpoint of one run.

    Args:
        spec: what is trained; `config.checkpoint_every` 0 writes and reads nothing.
        scratch: where it lies; None for nowhere.

    Attributes:
        failed: how many could not be written; the training went on without them.
    """

    def __init__(self, spec: TrainingSpec, scratch: Scratch | None) -> None:
        self._scratch = scratch if spec.config.checkpoint_every else None
        self._phase, self._name = spec.phase, f"{spec.phase}.safetensors"
        self._identity = fingerprint(spec) if self._scratch else ""
        self._every = spec.config.checkpoint_every
        self.failed = 0

    def due(self, epoch: int, *, last: bool) -> bool:
        """Whether the state after `epoch` is to be kept."""
        return self._scratch is not None and (last or epoch % self._every == 0)

    def load(self) -> SavedState | None:
        """The state of this very spec, or None where there is none that can be trusted."""
        data = self._scratch.read(self._name) if self._scratch else None
        if data is None:
            return None
        try:
            state = _unpack(data, self._identity)
        except _Unusable as why:
            logger.warning(
                "checkpoint not used (%s), training starts from the beginning", why,
                extra={"phase": self._phase},
            )  # fmt: skip
            return None
        logger.info("training goes on from its checkpoint", extra={"phase": self._phase})
        return state

    def save(self, state: SavedState) -> None:
        """Put `state` in the place of the last one; a failed write is logged and counted."""
        if self._scratch is None:
            return
        try:
            self._scratch.write(self._name, _pack(state, self._identity))
        except StorageError as error:
            self.failed += 1
            logger.warning("checkpoint not written (%s)", error, extra={"phase": self._phase})


class _Unusable(Exception):
    """A checkpoint is damaged, or another training's."""


def fingerprint(spec: TrainingSpec) -> str:
    """Hash of everything that decides what comes out: data, texts, configuration, seed, kernels."""
    edges = spec.graph.edges
    arrays = (edges.users, edges.items, edges.ratings, spec.user_text, spec.item_text)
    return content_hash(
        {
            "format": _FORMAT,
            "arrays": [[content_hash(one.tobytes()), list(one.shape)] for one in arrays],
            "config": spec.config,
            "ratings": [spec.data.rating_min, spec.data.rating_max, spec.data.like_from,
                        spec.data.dislike_from],
            "seed": spec.seed,
            "start": spec.start and _start_of(spec.start),
            "phase": [spec.phase, spec.epochs],
            "kernels": [
                torch.__version__, spec.device.type, spec.backend, str(spec.precision),
            ],
        }
    )  # fmt: skip


def _start_of(start: Start) -> dict[str, Any]:
    weights = {name: content_hash(one.numpy().tobytes()) for name, one in start.weights.items()}
    text = None if start.item_text is None else content_hash(start.item_text.tobytes())
    gone = [str(one) for one in start.forgotten.to_list()]
    return {"weights": weights, "text": text, "forgotten": gone, "share": start.share}


def _pack(state: SavedState, identity: str) -> bytes:
    from safetensors.torch import save

    tensors = {name: one.detach().cpu().contiguous() for name, one in state.tensors.items()}
    header = {_FINGERPRINT: identity, _VALUES: json.dumps(state.values)}
    data: bytes = save(tensors, {**header, _HASH: _digest(tensors, header)})
    return data


def _unpack(data: bytes, identity: str) -> SavedState:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors: dict[str, torch.Tensor] = load(data)
        header = _header(data)
    except (SafetensorError, ValueError) as error:
        raise _Unusable(f"it cannot be read ({error})") from error
    if header.pop(_HASH, None) != _digest(tensors, header):
        raise _Unusable("it was altered after it was written")
    if header[_FINGERPRINT] != identity:
        raise _Unusable("it is of another training: data, parameters or libraries differ")
    return SavedState(tensors=tensors, values=json.loads(header[_VALUES]))


def _header(data: bytes) -> dict[str, str]:
    # safetensors reads the metadata of files only; the format begins with the header's length.
    size = int.from_bytes(data[:8], "little")
    found = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    return {str(name): str(value) for name, value in found.items()}


def _digest(tensors: Mapping[str, torch.Tensor], header: Mapping[str, str]) -> str:
    parts = {name: content_hash(one.numpy().tobytes()) for name, one in tensors.items()}
    return content_hash({"tensors": parts, "header": dict(header)})
