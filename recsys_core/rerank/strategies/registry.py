"""The table of rerank strategies.

Everything that names strategies follows from it: the choices and the help of `rerank.strategy`,
the cost table, the reproduction's reranked variants, the contract tests, the oracle benchmark and
the table in docs/strategies.md. A new strategy is one module, one prompt and one line here.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Final

from recsys_core.errors import ConfigError
from recsys_core.rerank.strategies.base import Strategy
from recsys_core.rerank.strategies.overlapping import OverlappingBatches
from recsys_core.rerank.strategies.pairwise import PairwiseTree
from recsys_core.rerank.strategies.prompt_level import PromptLevel
from recsys_core.rerank.strategies.relevancy import RelevancyScoring
from recsys_core.rerank.strategies.setwise import Setwise
from recsys_core.rerank.strategies.sliding_window import SlidingWindow

NONE: Final = "none"
"""In place of a strategy: no reranking, the graph's order stays."""

STRATEGIES: Final[Mapping[str, type[Strategy]]] = {
    one.name: one
    for one in (
        PromptLevel,
        PairwiseTree,
        OverlappingBatches,
        RelevancyScoring,
        Setwise,
        SlidingWindow,
    )
}
"""Strategies by name."""


def make_strategy(name: str, settings: object) -> Strategy:
    """The strategy `name` with its fields taken from the attributes of `settings`.

    Raises:
        ConfigError: there is no strategy of that name.
    """
    if name not in STRATEGIES:
        raise ConfigError(
            f"There is no rerank strategy {name!r}.",
            expected=f"one of {', '.join(STRATEGIES)}, or {NONE}.",
            fix="set `rerank.strategy` to one of them.",
        )
    kind = STRATEGIES[name]
    return kind(**{one.name: getattr(settings, one.name) for one in fields(kind)})
