"""`ReproduceConfig`: every method on every fold."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from recsys_core.config.reproduction_methods import METHODS, Method
from recsys_core.config.run import (
    FORMER_PROFILES,
    FanOutConfig,
    Place,
    RunConfig,
    RunName,
    artifacts_place,
    runs_place,
)
from recsys_core.datasets.config import DataConfig, SplitConfig
from recsys_core.datasets.splits import KINDS
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.graph.config import CandidatesConfig, GraphConfig
from recsys_core.llm.config import LLMConfig
from recsys_core.profiles.config import ItemProfileConfig, UserProfileConfig
from recsys_core.rerank.config import FusionConfig, RerankConfig
from recsys_core.section import Section


def _paper_preset(given: Any) -> Any:
    return {"preset": "paper", **given} if isinstance(given, dict) else given


class ReproduceConfig(Section):
    """Every method on every fold: the paper's figure, table and ablations."""

    former_names: ClassVar[Mapping[str, str]] = {
        **FORMER_PROFILES,
        "valid_share": "set split.valid_share",
    }

    data: DataConfig = DataConfig()
    large_data: DataConfig = DataConfig(source="ml-1m")
    folds: tuple[Annotated[int, Field(ge=1, le=5)], ...] = Field(
        default=(1, 2, 3, 4, 5), min_length=1
    )
    """Folds of `data`, for example `1,2`."""
    large_folds: tuple[Annotated[int, Field(ge=1, le=5)], ...] = ()
    """Folds of `large_data`; the paper's study has fold 1. It takes hours on a CPU."""
    cold_seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0, 1, 2)
    """Draws of the cold-start protocols on `data`: users who come after training and show 0 to 9
    ratings, and items that come after it. Empty (`[]`) leaves them out."""
    methods: tuple[Method, ...] = Field(default=METHODS, min_length=1)
    """Methods to compare, separated by commas. A `no_llm` model has learned id vectors and no
    text, `integrated` the plain concatenation of title, genres and overview in place of the
    profile, `facts` title, year and genres, `no_cosine` the BPR loss alone, `no_attributes` nothing
    of the table of users, `no_order` no times or positions; a name that ends with a rerank strategy
    (`_prompt_level`) is the model's lists reranked by it."""
    paper_folder: str | None = None
    """Folder with the authors' published item_profiles.parquet, user_profiles.parquet (used with
    fold 1 of `data` only: they come from its training ratings), recommendations/*.parquet (lists
    for fold 1) and table1.csv; each of them may be missing, and the page says so."""
    reference: Method = "gat_best"
    """Method that every other one is compared with, user by user."""
    llm: LLMConfig = LLMConfig()
    item_profiles: ItemProfileConfig = ItemProfileConfig()
    user_profiles: UserProfileConfig = UserProfileConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    best: GraphConfig = GraphConfig()
    paper: Annotated[GraphConfig, BeforeValidator(_paper_preset)] = GraphConfig(preset="paper")
    rerank: RerankConfig = RerankConfig()
    fan_out: FanOutConfig = FanOutConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    split: SplitConfig = SplitConfig()
    """How each data set is divided; `folds` and `large_folds` say which folds. A kind without folds
    (`given`, `time`, `last`) has fold 1 alone."""
    at_once: int = Field(default=1, ge=1, le=64)
    """Folds and methods under way at a time, each in a process of its own."""
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""
    artifact_root: Place = Field(default_factory=artifacts_place)
    """Folder or URI of the artifacts; every (fold, method) is one, so a run that was stopped goes
    on where it was."""
    runs_root: Place = Field(default_factory=runs_place)
    """Folder of the runs' outputs."""
    run_name: RunName = "reproduction"
    """Name of the run's folder."""

    @model_validator(mode="before")
    @classmethod
    def _one_fold_where_there_are_none(cls, given: Any) -> Any:
        if not isinstance(given, dict) or "folds" in given:
            return given
        split = SplitConfig.model_validate(given.get("split", {}))
        return given if KINDS[split.kind].folds > 1 else {**given, "folds": (1,)}

    @model_validator(mode="after")
    def _folds_of_the_kind(self) -> "ReproduceConfig":
        there = KINDS[self.split.kind].folds
        beyond = [fold for fold in (*self.folds, *self.large_folds) if fold > there]
        if beyond:
            raise ValueError(f"a split of kind {self.split.kind} has no fold {max(beyond)}")
        return self

    @model_validator(mode="after")
    def _each_once(self) -> "ReproduceConfig":
        for name in ("folds", "large_folds", "cold_seeds", "methods"):
            chosen = getattr(self, name)
            if len(set(chosen)) < len(chosen):
                raise ValueError(f"{name} names something twice: {', '.join(map(str, chosen))}")
        return self

    def run(self, data: DataConfig, fold: int, *, graph: GraphConfig | None = None) -> RunConfig:
        """The configuration of the pipeline's stages for one fold.

        Published item profiles go with every fold of `data`, user profiles with fold 1 alone.
        """
        published = data == self.data
        items = self.paper_file("item_profiles.parquet") if published else None
        users = self.paper_file("user_profiles.parquet") if published and fold == 1 else None
        return RunConfig(
            data=data, split=self.split.model_copy(update={"fold": fold}), llm=self.llm,
            item_profiles=self.item_profiles.model_copy(update={"file": items}),
            user_profiles=self.user_profiles.model_copy(update={"file": users}),
            embedding=self.embedding, graph=graph or self.best,
            candidates=CandidatesConfig(keep_margin=0), rerank=self.rerank,
            fusion=FusionConfig(policy="all"), fan_out=self.fan_out,
            evaluation=self.evaluation, seed=self.seed, artifact_root=self.artifact_root,
            runs_root=self.runs_root, run_name=self.run_name,
        )  # fmt: skip

    def paper_file(self, name: str) -> str | None:
        """Path of a file in the folder of the paper's data; None where it is not there."""
        if self.paper_folder is None:
            return None
        path = Path(self.paper_folder).expanduser() / name
        return str(path) if path.exists() else None
