"""What moves while a model is trained, taken down and put back bit by bit."""

from dataclasses import dataclass, field
from typing import Any, Final

import torch

from recsys_core.graph.model.gat import GAT
from recsys_core.graph.training.checkpoint import State
from recsys_core.graph.training.spec import Fit, Row

_MODEL: Final = "model"
_MOMENTS: Final = "optimiser"
_RANDOM: Final = "random"
_BEST: Final = "best"


@dataclass
class Moving:
    """The state of a run: whatever the next epoch depends on.

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


def snapshot(now: Moving) -> State:
    """The present state."""
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
    return State(tensors=tensors, values=values)


def restore(now: Moving, state: State) -> None:
    """Put `now` into the state that `snapshot` took down."""
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


def _random_states(now: Moving) -> dict[str, torch.Tensor]:
    states = {"negatives": now.generator.get_state(), "torch": torch.get_rng_state()}
    if now.generator.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(now.generator.device)
    return states


def _under(state: State, prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}/"
    found = state.tensors.items()
    return {name.removeprefix(start): one for name, one in found if name.startswith(start)}


def _moments(state: State) -> dict[int, dict[str, Any]]:
    moments: dict[int, dict[str, Any]] = {}
    for path, one in _under(state, _MOMENTS).items():
        number, _, name = path.partition("/")
        moments.setdefault(int(number), {})[name] = one
    return moments
