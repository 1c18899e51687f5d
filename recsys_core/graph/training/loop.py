"""One run of training on one set of edges: epochs, validation, checkpoints."""

import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final

import numpy as np
import torch

from recsys_core.artifacts import Scratch
from recsys_core.columns import BPR_LOSS, COSINE_LOSS, EPOCH, LEARNING_RATE, LOSS, PHASE, VALID_NDCG
from recsys_core.errors import ConfigError, TrainingError
from recsys_core.graph.interaction_graph import Floats
from recsys_core.graph.training.batching import steps_of
from recsys_core.graph.training.checkpoint import Checkpoint, TrainingState, restore, snapshot
from recsys_core.graph.training.factory import floor_of, model_of, optimiser_of, schedule_of
from recsys_core.graph.training.objective import Parts
from recsys_core.graph.training.spec import Fit, Listener, Row, TrainingSpec

_SAME: Final = 0.9999


def fit(
    spec: TrainingSpec, on_epoch: Listener | None = None, scratch: Scratch | None = None
) -> Fit:
    """Train, and return the best epoch (by validation) or the last.

    The caller has seeded torch: parameters and dropout draw from its global generator. A run that
    was killed goes on from its last checkpoint in `scratch`, to the same result.

    Raises:
        TrainingError: the loss became NaN or infinite, or all vectors became one.
        ConfigError: no epoch was asked for, and there is no earlier model to take as it is.
    """
    if spec.epochs < (0 if spec.start else 1):
        raise ConfigError(f"{spec.epochs} epochs were asked for.", expected="one or more.")
    return _Run(spec, Checkpoint(spec, scratch)).run(on_epoch)


class _Run:
    """One run from its start, or from its checkpoint, to its end."""

    def __init__(self, spec: TrainingSpec, checkpoint: Checkpoint) -> None:
        self.spec, self.checkpoint = spec, checkpoint
        generator = torch.Generator(device=spec.device).manual_seed(spec.seed)
        self.steps = steps_of(spec, generator)
        self.model = model_of(spec)
        optimiser = optimiser_of(self.model, spec.config)
        schedule = schedule_of(
            optimiser, spec.config.max_epochs * self.steps.count,
            floor=floor_of(spec.config), warm_start=spec.start is not None,
        )  # fmt: skip
        self.state = TrainingState(self.model, optimiser, schedule, generator)
        found = checkpoint.load()
        if found is not None:
            restore(self.state, found)
        self.resumed_at = self.state.epoch

    def run(self, on_epoch: Listener | None) -> Fit:
        now, spec = self.state, self.spec
        if not spec.epochs:
            self._measure(self._unmoved())
        while not self._over():
            now.epoch += 1
            row = self._step()
            last = now.epoch == spec.epochs
            if last or (spec.validator and now.epoch % spec.config.evaluate_every == 0):
                now.since_best = 0 if self._measure(row) else now.since_best + 1
            now.curves.append(row)
            if self.checkpoint.due(now.epoch, last=self._over()):
                self.checkpoint.save(snapshot(now))
            if on_epoch:
                on_epoch(now.epoch, spec.epochs, float(str(row[LOSS])), _ndcg(row))
        assert now.best is not None  # noqa: S101 - the last epoch is always measured
        failed = self.checkpoint.failed
        return replace(now.best, curves=now.curves, resumed_at=self.resumed_at, unsaved=failed)

    def _over(self) -> bool:
        now = self.state
        return now.epoch >= self.spec.epochs or now.since_best >= self.spec.config.patience

    def _step(self) -> Row:
        now, values, parts = self.state, [], []
        self.model.train()
        rate = now.optimiser.param_groups[0]["lr"]
        for loss, some in self.steps.losses(self.model):
            values.append(_finite(float(loss.detach()), self.spec.phase, now.epoch))
            parts.append(some)
            loss.backward()  # type: ignore[no-untyped-call]
            now.optimiser.step()
            now.optimiser.zero_grad(set_to_none=True)
            now.schedule.step()
        return {
            PHASE: self.spec.phase, EPOCH: now.epoch, LOSS: fmean(values),
            BPR_LOSS: _mean(parts, BPR_LOSS), COSINE_LOSS: _mean(parts, COSINE_LOSS),
            VALID_NDCG: None, LEARNING_RATE: rate,
        }  # fmt: skip

    def _unmoved(self) -> Row:
        """The row of an earlier model that is taken as it is; it is in no curve."""
        return {PHASE: self.spec.phase, EPOCH: 0, VALID_NDCG: None}

    def _measure(self, row: Row) -> bool:
        """Compute vectors, and keep them if they are the best so far; whether they are."""
        now, validator = self.state, self.spec.validator
        users, items = self._vectors()
        _not_collapsed(self.spec, items, now.epoch)
        ndcg = validator.ndcg(users, items) if validator else None
        row[VALID_NDCG] = ndcg
        if now.best and ndcg is not None and now.best.ndcg is not None and ndcg <= now.best.ndcg:
            return False
        weights = {name: value.cpu().clone() for name, value in self.model.state_dict().items()}
        now.best = Fit(
            weights=weights, user_vectors=users, item_vectors=items, epoch=now.epoch, ndcg=ndcg,
            curves=[],
        )  # fmt: skip
        return True

    def _vectors(self) -> tuple[Floats, Floats]:
        self.model.eval()
        with torch.no_grad():
            users, items = self.steps.vectors(self.model)
        return users.float().cpu().numpy(), items.float().cpu().numpy()


def _finite(loss: float, phase: str, epoch: int) -> float:
    if math.isfinite(loss):
        return loss
    raise TrainingError(
        f"The loss of epoch {epoch} ({phase}) is {loss}.",
        expected="a finite loss.",
        fix="lower graph.learning_rate, and look for extreme values in the embeddings.",
    )


def _mean(parts: Sequence[Parts], name: str) -> float | None:
    """Mean over an epoch's steps; None where the loss has no such part."""
    found = [one[name] for one in parts if name in one]
    return fmean(found) if found else None


def _ndcg(row: Row) -> float | None:
    value = row[VALID_NDCG]
    return value if isinstance(value, float) else None


def _not_collapsed(spec: TrainingSpec, items: Floats, epoch: int) -> None:
    """Stop when the items that have edges all point the same way.

    Raises:
        TrainingError: their mean cosine is above .9999, or they are not finite.
    """
    rows = items[np.unique(spec.graph.edges.items)].astype(np.float64)
    norms = np.linalg.norm(rows, axis=1)
    directions = rows[norms > 0] / norms[norms > 0, None]
    size = float(np.square(directions.mean(0)).sum()) if len(directions) else 1.0
    if math.isfinite(size) and (size < _SAME or len(rows) < 10):
        return
    raise TrainingError(
        f"At epoch {epoch} ({spec.phase}) the vectors of {len(rows)} items have collapsed into one"
        f" direction (mean cosine {size:.5f}).",
        expected="vectors that tell items apart.",
        fix="lower graph.cosine_weight, graph.learning_rate or graph.dropout.",
    )
