"""Configuration of reranking and score fusion."""

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

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

_PAPER_WEIGHT: Final = 0.8


class RerankConfig(Section):
    """How the LLM judges the top candidates; their fusion with the graph score is `fusion`."""

    strategy: StrategyName = Field(default="prompt-level", description=_STRATEGY_HELP)
    candidates: int = Field(default=20, ge=1, le=200)
    """Candidates per user that are judged and explained."""
    looks: int = Field(default=3, ge=1, le=10)
    """`prompt-level`: rankings per user, each with the candidates in another order; their mean
    places count. A model that repeats its mistakes gains nothing from more than three."""
    batch_size: int = Field(default=5, ge=2, le=20)
    """Items per judgement (`relevancy`, `overlapping`, `setwise`)."""
    repeats: int = Field(default=3, ge=1, le=10)
    """`relevancy`: judgements per item, each among different companions; their mean counts."""
    overlap: int = Field(default=2, ge=1, le=19)
    """`overlapping`: items that a batch shares with the next one, fewer than `batch_size`. More
    overlap means more calls and less harm by single wrong judgements."""
    window: int = Field(default=10, ge=2, le=100)
    """`sliding-window`: items per judgement."""
    stride: int = Field(default=5, ge=1, le=99)
    """`sliding-window`: items by which the window moves, fewer than `window`."""
    both_orders: bool = False
    """`pairwise`: ask every pair in both orders; where the two answers disagree, each counts half.
    Twice the calls, without a model's preference for the first or the second place."""

    @model_validator(mode="after")
    def _batches_move_on(self) -> "RerankConfig":
        if self.strategy == "overlapping" and self.overlap >= self.batch_size:
            raise ValueError(f"overlap {self.overlap} must be below batch_size {self.batch_size}")
        if self.strategy == "sliding-window" and self.stride >= self.window:
            raise ValueError(f"stride {self.stride} must be below window {self.window}")
        return self


class FusionConfig(Section):
    """The order that is served: the LLM's judgement and the graph's, and whose lists it changes."""

    former_names: ClassVar[Mapping[str, str]] = {
        "cold_below": "who is cold is said once, by `evaluation.cold_below`",
        "auto_users": "write `probe_users`, the numbers of users after which `auto` may stop",
    }

    policy: Literal["all", "cold-only", "auto", "none"] = "auto"
    """Whose lists are reranked: everybody's, those of users with fewer than
    `evaluation.cold_below` training interactions, nobody's. `auto` judges validation users in
    stages and reranks only where a gain is shown; `all` asks nothing first."""
    llm_weight: float | None = Field(default=None, ge=0, le=1)
    """Weight of the LLM score; the graph score has the rest. Default: learned on the validation
    users that `auto` judges; 0.8, the paper's, under the other policies."""
    scale: Literal["score", "rank", "zscore", "absolute"] | None = None
    """How the two scores are made comparable per user: linearly from lowest to highest, by rank,
    by mean and standard deviation, or the LLM's as they are, so that judgements that disagree
    weigh less. Default: learned under `auto`, else `score`."""
    probe_users: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(50, 100, 200, 400, 600), min_length=1
    )
    """Validation users that `auto` has judged after each stage, cold and warm in proportion; it
    stops as soon as a gain, or that there is none worth having, is shown."""
    weigh_users: int = Field(default=200, ge=2)
    """Validation users of the first stages whose judgements the learned weight rests on: where a
    gain is shown earlier, `auto` judges on up to so many. A weight learned from 50 users is worth
    less; those calls are few beside judging everybody."""
    smallest_gain: float = Field(default=0.01, ge=0, le=1)
    """Smallest change of NDCG@10 that would be worth its price: `auto` stops where even the upper
    end of the interval lies below it."""
    judge_everyone: bool = False
    """Judge also those whom the policy leaves to the graph, so that the report can show what
    reranking everybody would do."""

    @property
    def fixed_weight(self) -> float:
        """The configured weight; the paper's where it is not learned."""
        return _PAPER_WEIGHT if self.llm_weight is None else self.llm_weight

    @property
    def fixed_scale(self) -> str:
        """The configured scale; `score` where it is not learned."""
        return self.scale or "score"

    @model_validator(mode="after")
    def _stages_grow(self) -> "FusionConfig":
        if any(later <= earlier for earlier, later in pairwise(self.probe_users)):
            raise ValueError(f"probe_users must rise from stage to stage: {self.probe_users}")
        return self
