"""What a component that is a dot product is, and how it is fitted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from recsys_core.graph.components.item_maps import Scorer, Vectors
from recsys_core.graph.components.settings import Ladder, Settings
from recsys_core.graph.interaction_graph import Edges, Floats, InteractionGraph


class Component(Protocol):
    """One additive component, fitted on the training edges of the network."""

    @property
    def items(self) -> Floats:
        """(n_items, d) columns of the items; zeros for an item without information."""

    def of_training(self, graph: InteractionGraph) -> Floats:
        """(n_users, d) columns of the users of `graph`, which it was fitted on."""

    def users(self, edges: Edges, attributes: Floats) -> Floats:
        """(n_users, d) columns of users who came after training.

        Args:
            edges: their ratings.
            attributes: (n_users, d) user attributes; d may be 0.
        """


class Fitter(Protocol):
    """A component that is fitted with any of its settings; what the fits share is made once."""

    @property
    def beside(self) -> bool:
        """Whether settings are judged in a sum with the best component so far."""

    @property
    def grid(self) -> Mapping[str, Ladder]:
        """Parameter -> values that are tried; nothing where there is nothing to choose."""

    @property
    def fits(self) -> int:
        """Fits that the effort pays for, at least one."""

    def scorer(self, settings: Settings) -> Scorer:
        """Scores of the users of training, to judge the settings by."""

    def fit(self, settings: Settings) -> Component:
        """The component."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A component without settings, as a `Fitter`.

    Attributes:
        part: the component.
        graph: what it was fitted on.
    """

    part: Component
    graph: InteractionGraph
    beside: bool = False
    fits: int = 1
    grid: Mapping[str, Ladder] = field(default_factory=dict)

    def scorer(self, settings: Settings) -> Scorer:  # noqa: ARG002 - there are none
        """As `Fitter.scorer`."""
        return vectors_of(self.part, self.graph)

    def fit(self, settings: Settings) -> Component:  # noqa: ARG002 - there are none
        """As `Fitter.fit`."""
        return self.part


def vectors_of(part: Component, graph: InteractionGraph) -> Vectors:
    """The scores of the users of training."""
    return Vectors(users=part.of_training(graph), items=part.items)
