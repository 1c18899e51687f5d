"""References typed by what they hold, so that mixed-up wiring of the flows fails the type check."""

from recsys_core.artifacts import ArtifactRef
from recsys_core.report.summary import Summary


class DatasetRef(ArtifactRef):
    """Tables `interactions`, `items` and `users` of a data set."""


class SplitRef(ArtifactRef):
    """Tables `train`, `valid` and `test` of interactions."""


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
    """The lists of the users on whom the fusion policy is chosen."""


class JudgementsRef(ArtifactRef):
    """Table `judged`: the language model's scores of candidates."""


class PolicyRef(ArtifactRef):
    """Table `users`: whose lists are reranked; `policies`: what that was chosen from."""


class RerankedRef(ArtifactRef):
    """Table `reranked`: the lists to serve; `everybody`: the lists if everyone were reranked."""


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
    item_profiles: ItemProfilesRef
    user_profiles: UserProfilesRef
    embeddings: EmbeddingsRef
    graph: GraphRef
    model: ModelRef
    candidates: CandidatesRef
    policy: PolicyRef
    judgements: JudgementsRef
    reranked: RerankedRef
    recommendations: RecommendationsRef
    baselines: BaselinesRef
    metrics: MetricsRef
    explanation_metrics: list[MetricsRef]
    figures: FiguresRef
    summary: Summary
