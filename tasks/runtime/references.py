"""References typed by what they hold, so that mixed-up wiring of the flows fails the type check."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from recsys_core.artifacts import ArtifactRef
from recsys_core.columns import AVAILABLE, ITEM, RATING, USER
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.protocols import History
from recsys_core.interactions.feedback import RatingScale, is_liked
from recsys_core.report.summary import Summary
from recsys_core.serving.product.contract import FACTS as SERVED_FACTS

if TYPE_CHECKING:
    from tasks.runtime.runs.last_runs import LastRun

SCALE: Final = "scale"
ALLOW_REPEATS: Final = "allow_repeats"
LEARNED: Final = "learned"
SHOWN: Final = "shown"
MASKED: Final = "masked"
NO_PART: Final = "none"


class InteractionsRef(ArtifactRef):
    """Table `interactions` of a data set."""


class CatalogueRef(ArtifactRef):
    """Table `items` of a data set: ids, titles, texts and labels."""


class ItemIdsRef(ArtifactRef):
    """Table `item_ids` of a data set: for what does not change with the items' texts."""

    @property
    def ids(self) -> pl.Series:
        """Ids of all items."""
        return self.table("item_ids")[ITEM]

    @property
    def candidate_items(self) -> pl.Series:
        """Ids of the items that may be recommended."""
        return self.table("item_ids").filter(pl.col(AVAILABLE))[ITEM]


class UsersRef(ArtifactRef):
    """Table `users` of a data set: everybody's id, and what is known beside their ratings."""


class DatasetRef(ArtifactRef):
    """A whole data set. Steps receive the parts that they read, and stay when others change."""

    @property
    def interactions(self) -> InteractionsRef:
        """Everybody's ratings."""
        return self.narrowed(InteractionsRef, "interactions")

    @property
    def catalogue(self) -> CatalogueRef:
        """The items with their texts."""
        return self.narrowed(CatalogueRef, "items")

    @property
    def item_ids(self) -> ItemIdsRef:
        """The items' ids alone."""
        return self.narrowed(ItemIdsRef, "item_ids")

    @property
    def known_users(self) -> UsersRef:
        """The users."""
        return self.narrowed(UsersRef, "users")

    @property
    def scale(self) -> RatingScale:
        """Kind of feedback, scale and thresholds, as ingest found them."""
        return RatingScale.model_validate(self.manifest.facts[SCALE])

    @property
    def allow_repeats(self) -> bool:
        """Whether items that a user knows may be recommended again."""
        return bool(self.manifest.facts[ALLOW_REPEATS])

    @property
    def candidate_items(self) -> pl.Series:
        """Ids of the items that may be recommended."""
        return self.table("items").filter(pl.col(AVAILABLE))[ITEM]


@dataclass(frozen=True, kw_only=True)
class UserGroup:
    """Test users that are measured apart.

    Attributes:
        at_most: those with at most so many training interactions; None for all.
        history: those whom training saw (`warm`), or those who came later (`new`).
    """

    at_most: int | None = None
    history: History | None = None


class SplitRef(ArtifactRef):
    """Tables `train` and `valid` of interactions: all that training and choosing may see."""

    def user_groups(self, config: EvaluationConfig) -> list[UserGroup]:
        """All users, cold users, and for a split by time the known and the new ones."""
        groups = [UserGroup(), UserGroup(at_most=config.cold_below - 1)]
        if self.manifest.facts["kind"] == "time":
            groups += [UserGroup(history="warm"), UserGroup(history="new")]
        return groups

    @property
    def learns_from_valid(self) -> bool:
        """Whether the served models learn from valid, too, once choices are made on it."""
        return "valid" in str(self.manifest.facts[LEARNED])

    @property
    def learned(self) -> pl.DataFrame:
        """What the served models learn from."""
        return self._parts(str(self.manifest.facts[LEARNED]))

    @property
    def shown(self) -> pl.DataFrame:
        """What users are placed by when lists are made."""
        return self._parts(str(self.manifest.facts[SHOWN]))

    @property
    def masked(self) -> pl.DataFrame:
        """What lists leave out; empty where known items may come again."""
        return self._parts(str(self.manifest.facts[MASKED]))

    @property
    def masks(self) -> bool:
        """Whether lists leave anything out."""
        return bool(self.manifest.facts[MASKED] != NO_PART)

    @property
    def known(self) -> pl.DataFrame:
        """All that is no test."""
        return self._parts("train+valid")

    def _parts(self, names: str) -> pl.DataFrame:
        if names == NO_PART:
            return self.table("train").clear()
        return pl.concat([self.table(name) for name in names.split("+")])


class HeldOutRef(ArtifactRef):
    """Table `test` of interactions, which only the evaluation receives."""


def shown_history(split: SplitRef, ratings: RatingScale) -> pl.DataFrame:
    """The training interactions as prompts show them: implicit feedback has no ratings."""
    train = split.table("train")
    if ratings.is_implicit:
        return train.with_columns(pl.lit(None, train.schema[RATING]).alias(RATING))
    return train


def liking(split: SplitRef, ratings: RatingScale) -> pl.Series:
    """The users who are known to like something, by all that lists are made from."""
    return split.shown.filter(is_liked(ratings.like_from))[USER].unique()


class ItemProfilesRef(ArtifactRef):
    """Table `item_profiles`."""


class UserProfilesRef(ArtifactRef):
    """Table `user_profiles`, and `evidence`: the ratings that they were written from."""


class EmbeddingsRef(ArtifactRef):
    """Text vectors `users` and `items`, and `item_features`."""


class GraphRef(ArtifactRef):
    """Nodes and edges of the bipartite graph of users and items."""


class ModelRef(ArtifactRef):
    """A trained graph model: weights, and the vectors of all users and items."""


class ServedModelRef(ArtifactRef):
    """A folder that serves by itself (`recsys_core.serving.product.contract`)."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a reader needs beside the tables."""
        return dict(self.manifest.facts[SERVED_FACTS])

    @property
    def scale(self) -> RatingScale:
        """Kind of feedback, scale and thresholds."""
        return RatingScale.model_validate(self.facts["weighing"]["scale"])


class ArrivalsRef(ArtifactRef):
    """Users whom lists are wanted for without training, their ratings, and new items."""


class PlacedRef(ArtifactRef):
    """Those users placed: their lists, profiles and text vectors."""


class ListsRef(ArtifactRef):
    """Table `candidates`: ranked items for each user."""


class CandidatesRef(ListsRef):
    """The graph model's lists, and `valid_candidates` from the model that saw no validation row."""


class SampleRef(ListsRef):
    """The lists of the validation users whom a stage of the probe judges."""


class JudgementsRef(ArtifactRef):
    """Table `judged`: the language model's scores of candidates."""


class ProbeRef(ArtifactRef):
    """Table `probe`: what judged validation users said about reranking, stage by stage."""


class PolicyRef(ArtifactRef):
    """Table `users`: whose lists are reranked, and how; `probe`: what that was decided by."""


class RerankedRef(ArtifactRef):
    """Table `reranked`: the lists to serve; `everybody`: the lists if everyone were reranked."""


class TradeOffRef(ArtifactRef):
    """Table `trade_off`: accuracy against variety on validation."""


class AttributionsRef(ArtifactRef):
    """Table `attributions`: what made each entry of the lists to serve."""


class RecommendationsRef(ArtifactRef):
    """Table `recommendations`: the lists to serve with a reason for every entry."""


class BaselinesRef(ArtifactRef):
    """A table of lists per baseline."""


class MetricsRef(ArtifactRef):
    """Table `metrics`."""


class ColdStartRef(ArtifactRef):
    """Table `per_user`: a method's metrics for held-out users or items."""


class FiguresRef(ArtifactRef):
    """Table `figures`: plots as SVG."""


class Results:
    """What the pipeline has made so far; what it has not reached yet is an AttributeError."""

    data: DatasetRef
    split: SplitRef
    held_out: HeldOutRef
    item_profiles: ItemProfilesRef
    user_profiles: UserProfilesRef
    embeddings: EmbeddingsRef
    graph: GraphRef
    last: "LastRun | None"
    warm_start: str
    model: ModelRef
    candidates: CandidatesRef
    probe_judgements: list[JudgementsRef]
    policy: PolicyRef
    served_model: ServedModelRef
    judgements: JudgementsRef
    reranked: RerankedRef
    attributions: AttributionsRef
    trade_off: TradeOffRef
    recommendations: RecommendationsRef
    baselines: BaselinesRef
    metrics: MetricsRef
    fold_in_check: MetricsRef
    explanation_metrics: list[MetricsRef]
    figures: FiguresRef
    summary: Summary
