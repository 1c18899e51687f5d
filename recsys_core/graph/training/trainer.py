"""Training of the graph model: early stopping on validation, then a final fit on all rows."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import polars as pl
import torch

from recsys_core.artifacts import Scratch
from recsys_core.columns import CURVES
from recsys_core.errors import ConfigError
from recsys_core.graph.config import GraphConfig, TrainingConfig
from recsys_core.graph.inference.saved_model import to_bytes
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph
from recsys_core.graph.model.message_passing import choose_backend
from recsys_core.graph.model.mixed_precision import choose_precision
from recsys_core.graph.training.batching import batch_edges
from recsys_core.graph.training.early_stopping import Doubles
from recsys_core.graph.training.phases import (
    FINAL,
    Earlier,
    Phases,
    given_phases,
    searched_phases,
)
from recsys_core.graph.training.placed_users import same_pairs
from recsys_core.graph.training.score_sum import Choice, ScoreSum
from recsys_core.graph.training.spec import Listener, TrainingSpec
from recsys_core.graph.training.warm_start import Start
from recsys_core.interactions.feedback import RatingScale

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The trained model and what it says of every node.

    Attributes:
        weights: the network's parameters by name, on the CPU; `to_bytes` writes them.
        search_weights: those of the first phase.
        served: the sum of the network and its components, fitted to all rows.
        search: the same of the first phase, which with a search saw no validation row: choices
            on validation are made with it.
        curves: `columns.CURVES`, a row per epoch and phase.
        best_epoch: epochs that the search found; an earlier one's where training went on from it.
        ndcg: (n_users,) validation NDCG of the lists when the choices were made, or since a user
            is validated by the present items; NaN for who is not. None without validation.
        went_on: whether the choices are those of the earlier training.
        facts: what the run's summary should say: device, back end, validation NDCG, what each
            component is worth, counts of nodes that only their profile describes.
        config: the configuration with nothing left open.
    """

    weights: dict[str, torch.Tensor]
    search_weights: dict[str, torch.Tensor]
    served: ScoreSum
    search: ScoreSum
    curves: pl.DataFrame
    best_epoch: int
    ndcg: Doubles | None
    went_on: bool
    facts: dict[str, Any]
    config: TrainingConfig

    @property
    def user_vectors(self) -> Floats:
        """(n_users, d) float32, in the order of the graph's users."""
        return self.served.user_vectors

    @property
    def item_vectors(self) -> Floats:
        """(n_items, d) float32."""
        return self.served.item_vectors

    def to_bytes(self) -> bytes:
        """The weights as a safetensors file."""
        return to_bytes(self.weights)


def train(
    graph: InteractionGraph,
    valid: Edges,
    user_vectors: Floats,
    item_vectors: Floats,
    config: GraphConfig,
    data: RatingScale,
    seed: int,
    epochs: int | None = None,
    on_epoch: Listener | None = None,
    scratch: Scratch | None = None,
    start: Start | None = None,
    choice: Choice | None = None,
    earlier: Earlier | None = None,
    learn_valid: bool = True,
    shown: Edges | None = None,
) -> Trained:
    """Train the model of `config` (paper 2.2 with preset `paper`).

    Three cases, named in the facts:
    - `epochs` is given: one fit on training and validation rows for that many epochs;
    - `valid` holds likes: a search for the epoch with the best validation NDCG@10 on the training
      rows alone and, with `config.retrain`, a fit on all rows for as many epochs;
    - `valid` holds rows but no likes: one fit on all rows for `config.max_epochs` epochs.

    What the configuration leaves open follows from the numbers of ratings (those of validation
    among them), users and items (`GraphConfig.for_data`).

    The search knows nothing of the validation rows: a sampler that spared them as negatives would
    tell the model which they are. One seed gives the same bytes on the CPU of one machine, with
    transforming layers (`paper`) if as many threads compute: the gradient of a layer norm is summed
    thread by thread. The caller's random state is left as it was.

    Args:
        graph: all nodes, and the training edges.
        valid: validation edges between the same nodes.
        user_vectors: (n_users, d_text) text vectors of the profiles, zeros where there is none.
        item_vectors: (n_items, d_text).
        config: model and training.
        data: thresholds and scale of ratings.
        seed: of every random choice.
        epochs: number of epochs, when it is known already.
        on_epoch: called with (epoch, epochs at most, loss, NDCG or None).
        scratch: where checkpoints lie (`config.checkpoint_every`); a training that was killed goes
            on from there, to the same bytes. None writes none.
        start: an earlier model of nearly the same data, to go on from. It must not have been
            trained on validation rows: early stopping would measure what it has memorised.
        choice: components and weights of an earlier training, where nothing is held out. None
            chooses anew: on `valid`, or on a tenth of the edges that is held out for it first.
        earlier: a training of nearly the same data whose choices are kept, too, while they hold.
            Its search must not have seen validation rows.
        learn_valid: whether the served model learns from the validation rows, too, once its choices
            are made on them. Otherwise what the search trained is served.
        shown: edges that users are placed by when lists are made; None: those that are learned
            from. Where they are others, users are folded in by them.

    Raises:
        DataError: no training rating is liked.
        ConfigError: nothing to find the number of epochs with, vectors that do not fit the graph,
            or a device that is not there.
        TrainingError: NaN loss or collapsed vectors.
    """
    _fitting(graph, user_vectors, item_vectors)
    if not config.order:
        graph, valid = graph.with_edges(graph.edges.without_order()), valid.without_order()
        shown = None if shown is None else shown.without_order()
    rule = _rule(valid, data, epochs)
    size = len(graph.edges) + len(valid), graph.n_users, graph.n_items
    rival, config = config.rival_for_data(*size), config.for_data(*size)
    device, device_fact = choose_device(config.device)
    precision, precision_fact = choose_precision(config.precision, device)
    if not learn_valid:
        config = config.model_copy(update={"retrain": False})
        rival = rival and rival.model_copy(update={"retrain": False})
    both = learn_valid and (rule != "search" or config.retrain)
    learned = graph.edges.joined(valid) if both else graph.edges
    alike = shown is None or same_pairs(shown, learned, graph.n_items)
    spec = TrainingSpec(
        phase=FINAL,
        graph=graph.with_edges(learned),
        user_text=user_vectors,
        item_text=item_vectors,
        config=config,
        data=data,
        seed=seed,
        device=device,
        backend=choose_backend(config.backend, device),
        epochs=config.max_epochs if epochs is None else epochs,
        precision=precision,
        start=start,
        shown=None if alike else shown,
    )
    with _repeatable(seed, device):
        if rule == "search":
            done = searched_phases(spec, graph, valid, on_epoch, scratch, earlier, rival)
        else:
            known = earlier if rule == "given" else None
            done = given_phases(spec, choice, on_epoch, scratch, known)
    facts = {"device": device_fact, "precision": precision_fact, "epochs_rule": _RULES[rule]}
    spec = replace(spec, config=done.config or spec.config)
    return _trained(spec, done, facts)


Rule = Literal["search", "given", "all"]
_RULES: Final[dict[Rule, str]] = {
    "search": "early stopping on validation NDCG@10",
    "given": "number of epochs given",
    "all": "no liked validation rows: trained for graph.max_epochs",
}


def _rule(valid: Edges, data: RatingScale, epochs: int | None) -> Rule:
    if epochs is not None:
        return "given"
    if not len(valid):
        raise ConfigError(
            "There are no validation rows and no number of epochs.",
            expected="one of the two, to know when to stop.",
            fix="keep split.valid_share above 0, or pass the epochs of an earlier training.",
        )
    return "search" if len(valid.liked(data)) else "all"


def _trained(spec: TrainingSpec, done: Phases, facts: dict[str, Any]) -> Trained:
    fits, edges = done.fits, spec.graph.edges
    last, liked = fits[-1], edges.liked(spec.data)
    facts |= {
        "preset": spec.config.preset,
        "backend": spec.backend,
        "torch": torch.__version__,
        "batch_edges": batch_edges(spec.config, edges) or "all",
        "epochs": last.epoch,
        "temperature": spec.config.temperature,
        "recipe": spec.config.recipe,
        "valid_ndcg": fits[0].ndcg,
        "nodes_new_to_the_earlier_model": spec.start and spec.start.new_nodes(spec.graph),
        "epochs_from_checkpoints": sum(one.resumed_at for one in fits),
        "checkpoints_not_written": sum(one.unsaved for one in fits),
        "users_placed_by": "what they were trained with" if spec.shown is None else "what is shown",
        "users_without_likes": spec.graph.n_users - len(set(liked.users.tolist())),
        "items_without_edges": spec.graph.n_items - len(set(edges.items.tolist())),
        "user_attributes": spec.graph.user_attributes.shape[1],
        "users_without_profile": int((~spec.user_text.any(1)).sum()),
        "items_without_profile": int((~spec.item_text.any(1)).sum()),
        "choice": done.choice and done.choice.facts(),
    } | done.facts
    logger.info("graph model trained", extra=facts)
    rows = [row for one in fits for row in one.curves]
    return Trained(
        weights=last.weights,
        search_weights=fits[0].weights,
        served=done.sums[-1],
        search=done.sums[0],
        curves=pl.DataFrame(rows, schema=dict(CURVES)),
        best_epoch=done.searched,
        ndcg=done.ndcg,
        went_on=done.went_on,
        facts=facts,
        config=spec.config,
    )


def choose_device(wanted: Literal["auto", "cpu", "cuda"]) -> tuple[torch.device, str]:
    """The device, and what to say about it.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ConfigError(
            "graph.device is 'cuda', but torch sees no CUDA device.",
            expected="a GPU and a CUDA build of torch.",
            fix="set graph.device to 'auto' or 'cpu'.",
        )
    name: Literal["cuda", "cpu"] = "cuda" if there and wanted != "cpu" else "cpu"
    why = f"chosen by auto, CUDA is {'there' if there else 'not there'}"
    return torch.device(name), f"{name} ({why if wanted == 'auto' else 'as configured'})"


@contextmanager
def _repeatable(seed: int, device: torch.device) -> Iterator[None]:
    """Seeded, deterministic where torch can be, and everything as before afterwards."""
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        # Some CUDA kernels have no deterministic form; the promise is for the CPU.
        torch.use_deterministic_algorithms(before or device.type == "cpu")
        memory.fill_uninitialized_memory = False  # an eighth of the time
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            memory.fill_uninitialized_memory = filled


def _fitting(graph: InteractionGraph, user_vectors: Floats, item_vectors: Floats) -> None:
    for name, vectors, nodes in (
        ("user", user_vectors, graph.n_users),
        ("item", item_vectors, graph.n_items),
    ):
        if vectors.ndim != 2 or len(vectors) != nodes or vectors.shape[1] == 0:
            raise ConfigError(
                f"The {name} vectors have shape {vectors.shape}; the graph has {nodes} {name}s.",
                expected=f"one vector per {name}, in the order of the graph.",
                fix="embed the profiles of the same data set that the graph was built from.",
            )
