"""Configuration of reranking and score fusion."""

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, model_validator

from recsys_core.rerank.strategies.registry import NONE, STRATEGIES
from recsys_core.section import Section

if TYPE_CHECKING:
    StrategyName = str
else:
    StrategyName = Literal[*STRATEGIES, NONE]

_STRATEGY_HELP: Final = "How candidates are judged: {}; `none` keeps the graph's order.".format(
    "; ".join(f"`{name}` asks for {one.asks}" for name, one in STRATEGIES.items())
)


class RerankConfig(Section):
    """How the LLM judges the top candidates; their fusion with the graph score is `fusion`."""

    strategy: StrategyName = Field(default="relevancy", description=_STRATEGY_HELP)
    candidates: int = Field(default=20, ge=1, le=200)
    """Candidates per user that are judged and explained."""
    batch_size: int = Field(default=5, ge=2, le=20)
    """Items per judgement (`relevancy`, `overlapping`)."""
    repeats: int = Field(default=3, ge=1, le=10)
    """`relevancy`: judgements per item, each among different companions; their mean counts."""
    overlap: int = Field(default=2, ge=1, le=19)
    """`overlapping`: items that a batch shares with the next one, fewer than `batch_size`. More
    overlap means more calls and less harm by single wrong judgements."""
    both_orders: bool = False
    """`pairwise`: ask every pair in both orders; where the two answers disagree, each counts half.
    Twice the calls, without a model's preference for the first or the second place."""

    @model_validator(mode="after")
    def _batches_move_on(self) -> "RerankConfig":
        if self.strategy == "overlapping" and self.overlap >= self.batch_size:
            raise ValueError(f"overlap {self.overlap} must be below batch_size {self.batch_size}")
        return self


class FusionConfig(Section):
    """The order that is served: the LLM's judgement and the graph's, and whose lists it changes."""

    policy: Literal["all", "cold-only", "auto", "none"] = "auto"
    """Whose lists are reranked: everybody's, those of users with fewer than `cold_below` training
    interactions, nobody's; `auto` takes what is best on validation, ties going to the graph."""
    llm_weight: float = Field(default=0.8, ge=0, le=1)
    """Weight of the LLM score; the graph score has the rest."""
    scale: Literal["score", "rank"] = "score"
    """How the two scores are made comparable per user: linearly from lowest to highest, or by
    rank."""
    cold_below: int = Field(default=10, ge=1)
    """Users with fewer training interactions are cold."""
    auto_users: int = Field(default=200, ge=1)
    """Most users that are judged on validation for `auto`, the cold ones first."""
    judge_everyone: bool = True
    """Judge also those whom the policy leaves to the graph, so that the report can show what
    reranking everybody would do; `false` saves these calls."""
