"""Every method that `reproduce_paper` compares: the baselines, and the graph model's variants.

Variants are entries of `VARIANTS`, baselines of `recommenders.methods.BASELINES`; the choices of
the configuration, the figures and the tables of the reproduction follow from the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from recsys_core.embedding.raw_texts import RawText
from recsys_core.graph.config import GraphConfig
from recsys_core.recommenders.methods import BASELINES, Baseline, Held
from recsys_core.rerank.strategies.registry import NONE, STRATEGIES

Text = Literal["unified", "none"] | RawText
"""What is embedded: profiles, nothing, or the raw text of this kind."""

_NO_HELD: Final[frozenset[Held]] = frozenset()
_USERS: Final[frozenset[Held]] = frozenset({"users"})
_BOTH: Final[frozenset[Held]] = frozenset({"users", "items"})


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A variant of the graph model.

    Attributes:
        preset: which of the two configurations it starts from.
        text: what is embedded.
        changes: fields of `GraphConfig` that it sets.
        base: the method whose lists are reranked; None for a model of its own.
        strategy: how they are reranked.
        ablates: the model that it changes in one respect; None for none.
        cold_start: the cold-start protocols that measure it.
        figure_2: whether Figure 2 draws it.
        table_1: the row of the paper's Table 1 that it is the counterpart of.
    """

    preset: Literal["best", "paper"]
    text: Text = "unified"
    changes: Mapping[str, Any] = field(default_factory=dict)
    base: str | None = None
    strategy: str = NONE
    ablates: str | None = None
    cold_start: frozenset[Held] = _NO_HELD
    figure_2: bool = False
    table_1: str | None = None

    def graph(self, *, best: GraphConfig, paper: GraphConfig) -> GraphConfig:
        """The model's configuration; every variant is trained from scratch."""
        start = best if self.preset == "best" else paper
        return start.model_copy(
            update={"warm_start": False, "warm_start_from": None, **self.changes}
        )


_TABLE_1_ROWS: Final[Mapping[str, str]] = {
    "prompt-level": "prompt_level", "pairwise": "pairwise_bst", "overlapping": "batchwise",
    "relevancy": "relevancy_score",
}  # fmt: skip
"""Rerank strategy -> its row of the paper's Table 1."""


def _reranked(preset: Literal["best", "paper"]) -> dict[str, Variant]:
    """The preset's lists reranked by every strategy there is."""
    base, paper = f"gat_{preset}", preset == "paper"
    return {
        f"{base}_{name.replace('-', '_')}": Variant(
            preset=preset, base=base, ablates=base, strategy=name,
            figure_2=paper and name == "relevancy",
            table_1=_TABLE_1_ROWS.get(name) if paper else None,
        )
        for name in STRATEGIES
    }  # fmt: skip


VARIANTS: Final[Mapping[str, Variant]] = {
    "gat_best": Variant(preset="best", cold_start=_BOTH, figure_2=True),
    "gat_best_no_llm": Variant(
        preset="best", text="none", ablates="gat_best", cold_start=_USERS
    ),
    "gat_best_integrated": Variant(preset="best", text="integrated", ablates="gat_best"),
    "gat_best_facts": Variant(
        preset="best", text="facts", ablates="gat_best", cold_start=_BOTH
    ),
    "gat_best_no_attributes": Variant(
        preset="best", changes={"user_attributes_weight": 0.0}, ablates="gat_best",
        cold_start=_USERS,
    ),
    "gat_best_no_order": Variant(
        preset="best", changes={"order": False}, ablates="gat_best"
    ),
    **_reranked("best"),
    "gat_paper": Variant(preset="paper", figure_2=True, table_1="unified_structure"),
    "gat_paper_no_llm": Variant(
        preset="paper", text="none", ablates="gat_paper", figure_2=True, table_1="gat"
    ),
    "gat_paper_integrated": Variant(
        preset="paper", text="integrated", ablates="gat_paper", figure_2=True,
        table_1="integrated_text",
    ),
    "gat_paper_no_cosine": Variant(
        preset="paper", changes={"cosine_weight": 0.0}, ablates="gat_paper"
    ),
    **_reranked("paper"),
}  # fmt: skip
"""Name in the tables -> variant."""

METHODS: Final = (
    *(name for name, one in BASELINES.items() if "texts" not in one.needs), *VARIANTS,
)  # fmt: skip
"""What can be asked for; baselines that need texts belong to the cold-start protocols alone."""

if TYPE_CHECKING:
    Method = str
else:
    # Of the table, so that `--help`, the form and the check of a configuration follow from it.
    Method = Literal[METHODS]


_EVERYTHING: Final[Mapping[str, Variant | Baseline]] = {**VARIANTS, **BASELINES}


def figure_2() -> list[str]:
    """The methods of Figure 2: the graph model's first, so that they have the first colours."""
    return [name for name, one in _EVERYTHING.items() if one.figure_2]


def table_1() -> dict[str, str]:
    """Row of the paper's Table 1 -> the method that is its counterpart."""
    return {one.table_1: name for name, one in _EVERYTHING.items() if one.table_1}


def cold_start(held: Held) -> list[str]:
    """The methods that are measured where these are held out of training."""
    return [name for name, one in _EVERYTHING.items() if held in one.cold_start]


def trained(methods: Sequence[str]) -> list[str]:
    """The graph models that these methods need, those whose lists are only reranked included."""
    wanted = [VARIANTS[name].base or name for name in methods if name in VARIANTS]
    return list(dict.fromkeys(wanted))
