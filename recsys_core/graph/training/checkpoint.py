"""Checkpoints: how far a training is, kept so that it survives a kill and changes no result.

A checkpoint is one safetensors file. Its header holds the rest of the state as JSON, the
fingerprint of what was being trained, and a hash of everything: a truncated, altered or foreign
file is told in the log and the training starts from its beginning. No pickle is read or written.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from recsys_core.artifacts import Scratch, content_hash
from recsys_core.errors import StorageError
from recsys_core.graph.training.spec import Task

_FORMAT: Final = 1
_FINGERPRINT: Final = "fingerprint"
_VALUES: Final = "values"
_HASH: Final = "sha256"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class State:
    """All that a run needs to go on.

    Attributes:
        tensors: parameters, moments, states of random generators, by a name like `model/ids`.
        values: what JSON can hold; floats come back as the same floats.
    """

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]


class Checkpoint:
    """The checkpoint of one run.

    Args:
        task: what is trained; `config.checkpoint_every` 0 writes and reads nothing.
        scratch: where it lies; None for nowhere.

    Attributes:
        failed: how many could not be written; the training went on without them.
    """

    def __init__(self, task: Task, scratch: Scratch | None) -> None:
        self._scratch = scratch if task.config.checkpoint_every else None
        self._phase, self._name = task.phase, f"{task.phase}.safetensors"
        self._identity = fingerprint(task) if self._scratch else ""
        self._every = task.config.checkpoint_every
        self.failed = 0

    def due(self, epoch: int, *, last: bool) -> bool:
        """Whether the state after `epoch` is to be kept."""
        return self._scratch is not None and (last or epoch % self._every == 0)

    def load(self) -> State | None:
        """The state of this very task, or None where there is none that can be trusted."""
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

    def save(self, state: State) -> None:
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


def fingerprint(task: Task) -> str:
    """Hash of everything that decides what comes out: data, texts, configuration, seed, kernels."""
    edges = task.graph.edges
    arrays = (edges.users, edges.items, edges.ratings, task.user_text, task.item_text)
    return content_hash(
        {
            "format": _FORMAT,
            "arrays": [[content_hash(one.tobytes()), list(one.shape)] for one in arrays],
            "config": task.config,
            "ratings": [task.data.rating_min, task.data.rating_max, task.data.like_from,
                        task.data.dislike_from],
            "seed": task.seed,
            "start": task.start and {
                name: content_hash(one.numpy().tobytes())
                for name, one in task.start.weights.items()
            },
            "phase": [task.phase, task.epochs],
            "kernels": [
                torch.__version__, task.device.type, task.backend, str(task.precision),
            ],
        }
    )  # fmt: skip


def _pack(state: State, identity: str) -> bytes:
    from safetensors.torch import save

    tensors = {name: one.detach().cpu().contiguous() for name, one in state.tensors.items()}
    header = {_FINGERPRINT: identity, _VALUES: json.dumps(state.values)}
    data: bytes = save(tensors, {**header, _HASH: _digest(tensors, header)})
    return data


def _unpack(data: bytes, identity: str) -> State:
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
    return State(tensors=tensors, values=json.loads(header[_VALUES]))


def _header(data: bytes) -> dict[str, str]:
    # safetensors reads the metadata of files only; the format begins with the header's length.
    size = int.from_bytes(data[:8], "little")
    found = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    return {str(name): str(value) for name, value in found.items()}


def _digest(tensors: Mapping[str, torch.Tensor], header: Mapping[str, str]) -> str:
    parts = {name: content_hash(one.numpy().tobytes()) for name, one in tensors.items()}
    return content_hash({"tensors": parts, "header": dict(header)})
