"""The phases of a training: search and final fit, each with its components; or going on.

A training chooses anew, or goes on from an earlier one (`Earlier`): it keeps what that chose
and its parameters, and trains for the part of the epochs that the data have changed by. Choices
are kept until the validation NDCG has fallen by more than was allowed since they were made; then
everything is chosen anew, as if there were no earlier model. It is compared over the users of whom
the same items are held out as then: another row of one user moves the mean of a few users more than
a worse model does. In a small shop a fall must also be two standard errors of the users' changes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
import torch

from recsys_core.artifacts import Scratch
from recsys_core.columns import PHASE
from recsys_core.errors import DataError
from recsys_core.graph.config import TrainingConfig
from recsys_core.graph.interaction_graph import Edges, Floats, Indices, InteractionGraph
from recsys_core.graph.training.early_stopping import Doubles, Validator
from recsys_core.graph.training.loop import fit
from recsys_core.graph.training.score_sum import (
    Choice,
    ScoreSum,
    choose,
    fit_choice,
    held_out,
    histories_of,
    item_scores,
    network_alone,
    placed_by_shown,
)
from recsys_core.graph.training.spec import Fit, Listener, TrainingSpec
from recsys_core.graph.training.warm_start import Start
from recsys_core.memory import memory_limit

SEARCH: Final = "search"
"""Phase that looks for the number of epochs: trains without the validation rows."""
FINAL: Final = "final"
"""Phase that trains on all rows for that number of epochs."""
_RIVAL: Final = "search_of_the_other_recipe"
"""Phase that tries another configuration."""
_ERRORS: Final = 2
"""Standard errors by which a fall has to be shown."""
_LEAST: Final = 2
"""Users that a standard error takes."""
_ON: Final = "warm_"
"""Prefix of the phases of a training that goes on."""


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """An earlier training, to go on from.

    Attributes:
        search: its parameters from the phase that saw no validation row.
        served: its final parameters.
        choice: its components and weights; None for the network alone.
        epochs: epochs to go on for; 0 takes its parameters as they are.
        searched: epochs that its search found.
        ndcg: (n_users,) validation NDCG when these choices were made, NaN for users whose held-out
            items were others then, or none.
        fall: share of it that may be lost before everything is chosen anew.
    """

    search: Start
    served: Start
    choice: Choice | None
    epochs: int
    searched: int
    ndcg: Doubles
    fall: float


@dataclass(frozen=True, kw_only=True)
class Phases:
    """What the phases gave.

    Attributes:
        fits: of the network; the first one, where there are two, saw no validation row.
        sums: the network with its components: the search's with users by their training edges, and
            last the one that is served.
        choice: what validation chose; None for the network alone.
        searched: epochs of a search; of an earlier one where this training went on from it.
        ndcg: (n_users,) validation NDCG of the sum when its choices were made, or since a user is
            validated by the present items; NaN for who is not. None without validation.
        went_on: whether the choices are an earlier training's.
        facts: of the choice.
        config: the one that was taken; None for that of the final fit.
    """

    fits: tuple[Fit, ...]
    sums: tuple[ScoreSum, ...]
    choice: Choice | None = None
    searched: int
    ndcg: Doubles | None = None
    went_on: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    config: TrainingConfig | None = None


def searched_phases(
    spec: TrainingSpec,
    graph: InteractionGraph,
    valid: Edges,
    on_epoch: Listener | None,
    scratch: Scratch | None,
    earlier: Earlier | None = None,
    rival: TrainingConfig | None = None,
) -> Phases:
    """Search and final fit, each with its components; those of the earlier training where it fits.

    Args:
        spec: of the final fit.
        graph: with the training edges alone.
        valid: validation edges.
        on_epoch: listener of the epochs.
        scratch: of checkpoints.
        earlier: what to go on from.
        rival: another configuration, which is taken where the search finds it better.
    """
    validator = Validator(graph.edges, valid, n_items=graph.n_items, scale=spec.data)
    search = replace(spec, phase=SEARCH, graph=graph, validator=validator)
    told: dict[str, Any] = {}
    if earlier is not None:
        found = _gone_on(search, spec, earlier, on_epoch, scratch)
        if found.went_on:
            return found
        told = found.facts
        torch.manual_seed(spec.seed)
    first = fit(search, on_epoch, scratch)
    if rival is not None:
        told["valid_ndcg_of_recipes"] = {search.config.recipe: first.ndcg}
        torch.manual_seed(spec.seed)
        other = replace(search, phase=_RIVAL, config=rival, epochs=rival.max_epochs)
        found_other = fit(other, on_epoch, scratch)
        told["valid_ndcg_of_recipes"][rival.recipe] = found_other.ndcg
        if (found_other.ndcg or 0.0) > (first.ndcg or 0.0):
            curves = [{**row, PHASE: SEARCH} for row in found_other.curves]
            first, spec = replace(found_other, curves=curves), replace(spec, config=rival)
            search = replace(other, phase=SEARCH)
    choice, of_search, facts = _chosen(search, first, valid)
    ndcg = _ndcg(search, of_search, validator)
    facts |= told | {"valid_ndcg_of_lists": float(np.nanmean(ndcg))}
    made = partial(
        Phases, choice=choice, searched=first.epoch, ndcg=ndcg, facts=facts, config=spec.config
    )
    if not spec.config.retrain:
        return made(fits=(first,), sums=(of_search, placed_by_shown(search, first, of_search)))
    # The same start as if this were the only phase.
    torch.manual_seed(spec.seed)
    final = replace(spec, epochs=first.epoch)
    last = fit(final, on_epoch, scratch)
    return made(fits=(first, last), sums=(of_search, _served(final, last, choice)))


def given_phases(
    spec: TrainingSpec,
    choice: Choice | None,
    on_epoch: Listener | None,
    scratch: Scratch | None,
    earlier: Earlier | None = None,
) -> Phases:
    """One fit on all rows; without a choice, a tenth of them is held out first to make it."""
    facts: dict[str, Any] = {}
    if earlier is not None:
        on = replace(spec, phase=f"{_ON}{FINAL}", start=earlier.served, epochs=earlier.epochs)
        last = fit(on, on_epoch, scratch)
        return Phases(
            fits=(last,), sums=(_served(on, last, choice),), choice=choice, went_on=True,
            searched=earlier.searched,
        )  # fmt: skip
    if choice is None and spec.config.components:
        kept, taken = held_out(spec.graph.edges, spec.seed)
        if len(kept.liked(spec.data)) and len(taken.liked(spec.data)):
            inner = replace(spec, phase=SEARCH, graph=spec.graph.with_edges(kept))
            choice, _, facts = _chosen(inner, fit(inner), taken)
            torch.manual_seed(spec.seed)
    last = fit(spec, on_epoch, scratch)
    return Phases(
        fits=(last,), sums=(_served(spec, last, choice),), choice=choice, facts=facts,
        searched=last.epoch,
    )  # fmt: skip


def _gone_on(
    search: TrainingSpec,
    final: TrainingSpec,
    earlier: Earlier,
    on_epoch: Listener | None,
    scratch: Scratch | None,
) -> Phases:
    """Go on from the earlier training; not `went_on`, and why, where its choices hold no more."""
    validator = search.validator
    assert validator is not None  # noqa: S101 - the search measures
    refused = partial(Phases, fits=(), sums=(), searched=earlier.searched)
    search = replace(search, phase=f"{_ON}{SEARCH}", start=earlier.search, epochs=earlier.epochs)
    try:
        first = fit(search, on_epoch, scratch)
        of_search = _sum_of(search, first, earlier.choice)
    except DataError as error:
        return refused(facts={"chosen_anew": error.seen})
    found = _ndcg(search, of_search, validator)
    same = np.isfinite(found) & np.isfinite(earlier.ndcg)
    if not same.any():
        return refused(facts={"chosen_anew": "no user is validated by the same items as then"})
    before, now = float(earlier.ndcg[same].mean()), float(found[same].mean())
    if now < before * (1 - earlier.fall) and _shown(found[same] - earlier.ndcg[same]):
        return refused(
            facts={"chosen_anew": f"validation NDCG fell from {before:.4f} to {now:.4f}"}
        )
    facts = {
        "valid_ndcg_of_lists": float(np.nanmean(found)),
        "valid_ndcg_when_chosen": before,
        "valid_ndcg_of_the_same_users": now,
        "users_validated_as_then": int(same.sum()),
    }
    made = partial(
        Phases, choice=earlier.choice, searched=earlier.searched, went_on=True, facts=facts,
        ndcg=np.where(same, earlier.ndcg, found),
    )  # fmt: skip
    if not final.config.retrain:
        return made(fits=(first,), sums=(of_search, placed_by_shown(search, first, of_search)))
    torch.manual_seed(final.seed)
    final = replace(final, phase=f"{_ON}{FINAL}", start=earlier.served, epochs=first.epoch)
    last = fit(final, on_epoch, scratch)
    return made(fits=(first, last), sums=(of_search, _served(final, last, earlier.choice)))


def _shown(changes: Doubles) -> bool:
    """Whether a mean below zero (n,) is two standard errors below it.

    One user of twenty whose only hit is gone lowers the mean by a twentieth and shows nothing.
    """
    if len(changes) < _LEAST:
        return False
    error = changes.std(ddof=1) / len(changes) ** 0.5
    return bool(changes.mean() + _ERRORS * error < 0)


def _ndcg(spec: TrainingSpec, found: ScoreSum, validator: Validator) -> Doubles:
    """(n_users,) NDCG of the lists that the sum gives."""
    return validator.by_user(found.user_vectors, found.item_vectors, _added(spec, found))


def _added(spec: TrainingSpec, found: ScoreSum) -> Callable[[Indices], Floats] | None:
    if found.item_model is None:
        return None
    shape = spec.graph.n_users, spec.graph.n_items
    histories = histories_of(spec.graph.edges, shape, spec.config.neutral_weight, spec.data)
    known = bool(spec.graph.user_attributes.shape[1])
    return partial(item_scores, found.item_model, found.item_model.rows(histories), known)


def _chosen(
    spec: TrainingSpec, found: Fit, valid: Edges
) -> tuple[Choice | None, ScoreSum, dict[str, Any]]:
    if not spec.config.components:
        return None, network_alone(spec, found), {}
    return choose(spec, found, valid, memory_limit(spec.config.memory))


def _sum_of(spec: TrainingSpec, found: Fit, choice: Choice | None) -> ScoreSum:
    return network_alone(spec, found) if choice is None else fit_choice(spec, found, choice)


def _served(spec: TrainingSpec, found: Fit, choice: Choice | None) -> ScoreSum:
    return placed_by_shown(spec, found, _sum_of(spec, found, choice))
