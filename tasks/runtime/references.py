"""References typed by what they hold, so that mixed-up wiring of the flows fails the type check."""

from recsys_core.artifacts import ArtifactRef
from recsys_core.report.summary import Summary


class InteractionsRef(ArtifactRef):
    """Table `interactions` of a data set."""


class CatalogueRef(ArtifactRef):
    """Table `items` of a data set: ids, titles, texts and labels."""


class ItemIdsRef(ArtifactRef):
    """Table `item_ids` of a data set: for what does not change with the items' texts."""


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


class SplitRef(ArtifactRef):
    """Tables `train` and `valid` of interactions: all that training and choosing may see."""


class HeldOutRef(ArtifactRef):
    """Table `test` of interactions, which only the evaluation receives."""


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
    warm_start: str
    model: ModelRef
    candidates: CandidatesRef
    policy: PolicyRef
    judgements: JudgementsRef
    reranked: RerankedRef
    trade_off: TradeOffRef
    recommendations: RecommendationsRef
    baselines: BaselinesRef
    metrics: MetricsRef
    explanation_metrics: list[MetricsRef]
    figures: FiguresRef
    summary: Summary
