"""The variants of the graph model in the reproduction: preset, text, ablations, reranking."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from recsys_core.columns import PUBLISHED
from recsys_core.config import Method, ReproduceConfig
from recsys_core.embedding.raw_texts import RawText
from recsys_core.graph.config import GraphConfig
from recsys_core.rerank.strategies.registry import NONE, STRATEGIES

PREFIX: Final = f"{PUBLISHED}:"
"""Before the names of the authors' own lists."""
Text = Literal["unified", "none"] | RawText
"""What is embedded: profiles, a plain text, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One variant.

    Attributes:
        preset: which of the two configurations it starts from.
        text: what is embedded.
        changes: fields of `GraphConfig` that it sets.
        base: the method whose lists are reranked; None for a model of its own.
        strategy: how they are reranked.
    """

    preset: Literal["best", "paper"]
    text: Text = "unified"
    changes: Mapping[str, Any] = field(default_factory=dict)
    base: Method | None = None
    strategy: str = NONE

    def graph(self, config: ReproduceConfig) -> GraphConfig:
        """The model's configuration; every variant is trained from scratch."""
        start = config.best if self.preset == "best" else config.paper
        return start.model_copy(update={"warm_start_from": None, **self.changes})


def _reranked(preset: Literal["best", "paper"]) -> dict[Method, Variant]:
    """The preset's lists, reranked by every strategy."""
    base = f"gat_{preset}"
    return {
        f"{base}_{name.replace('-', '_')}": Variant(preset=preset, base=base, strategy=name)
        for name in STRATEGIES
    }


VARIANTS: Final[Mapping[Method, Variant]] = {
    "gat_best": Variant(preset="best"),
    "gat_best_no_llm": Variant(preset="best", text="none"),
    "gat_best_integrated": Variant(preset="best", text="integrated"),
    "gat_best_facts": Variant(preset="best", text="facts"),
    "gat_best_no_attributes": Variant(preset="best", changes={"user_attributes": 0.0}),
    **_reranked("best"),
    "gat_paper": Variant(preset="paper"),
    "gat_paper_no_llm": Variant(preset="paper", text="none"),
    "gat_paper_integrated": Variant(preset="paper", text="integrated"),
    "gat_paper_no_cosine": Variant(preset="paper", changes={"cosine_weight": 0.0}),
    **_reranked("paper"),
}


def models(methods: tuple[Method, ...]) -> list[Method]:
    """The methods that are trained, those among them whose lists are only reranked."""
    wanted = [VARIANTS[name].base or name for name in methods if name in VARIANTS]
    return list(dict.fromkeys(wanted))
