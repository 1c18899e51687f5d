"""`RunConfig`: the sections of all steps composed into one run."""

import os
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from recsys_core.datasets.config import DataConfig, SplitConfig, TmdbConfig
from recsys_core.diversity.config import DiversityConfig
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.graph.config import CandidatesConfig, GraphConfig
from recsys_core.llm.config import LLMConfig
from recsys_core.profiles.config import ItemProfileConfig, UserProfileConfig
from recsys_core.rerank.config import FusionConfig, RerankConfig
from recsys_core.section import Section


class FanOutConfig(Section):
    """How the work of language models is spread over tasks; it changes no result."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({
        "shard_users", "shards_at_once", "runner", "dask_address", "dask_workers",
    })  # fmt: skip

    shard_users: int = Field(default=64, ge=1)
    """Users per task and artifact where a language model is asked; a run that was killed goes on
    with the unfinished ones. Rules take all users at once."""
    shards_at_once: int = Field(default=2, ge=1, le=64)
    """Tasks under way at a time. Two keep a model busy; more threads wait for the interpreter. On
    a Dask cluster: as many as it has workers."""
    runner: Literal["threads", "dask"] = "threads"
    """Where these tasks run: in threads of the run's process, or on the workers of a Dask cluster
    (extra `ops`), each of which has limits of its own of calls and tokens."""
    dask_address: str | None = Field(default=None, pattern=r"^(tcp|tls|ws|wss)://[^@\s]+$")
    """Scheduler of a Dask cluster, such as `tcp://scheduler:8786`; its workers have this code and
    reach the artifact root. Default: a cluster of processes on this machine, for the run."""
    dask_workers: int = Field(default=2, ge=1, le=64)
    """Processes of a cluster on this machine."""


def artifacts_place() -> str:
    return os.environ.get("RECSYS_ARTIFACTS") or "artifacts"


def runs_place() -> str:
    return os.environ.get("RECSYS_RUNS") or "runs"


def _placed(given: str) -> str:
    # What the forms of deployments hold: the worker's own places, not those of who deployed.
    places = {"$RECSYS_ARTIFACTS": artifacts_place, "$RECSYS_RUNS": runs_place}
    return places[given]() if given in places else given


Place = Annotated[str, AfterValidator(_placed)]


FORMER_PROFILES: Final[Mapping[str, str]] = {
    "profiles": "its fields are in `item_profiles` (items_per_call is `per_call`, items_file is"
    " `file`) and `user_profiles` (max_liked, max_disliked, batch_size; users_file is `file`)",
}


_RESERVED: Final[Mapping[str, str]] = {
    "latest": "the link to the last run",
    "served": "the name for the run that serves",
    "served.json": "the file that says which run serves",
}


def _not_reserved(name: str) -> str:
    # On file systems that fold case they are the same places.
    if (what := _RESERVED.get(name.casefold())) is not None:
        raise ValueError(f"`{name}` is {what}; choose another name")
    return name


RunName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"), AfterValidator(_not_reserved)
]


_PRESETS: Final[Mapping[str, Mapping[str, dict[str, Any]]]] = {
    "best": {},
    "paper": {
        "graph": {"preset": "paper"},
        "rerank": {"strategy": "relevancy"},
        "fusion": {"policy": "all", "llm_weight": 0.8, "scale": "score"},
    },
    "quick": {
        "graph": {"effort": "quick", "max_epochs": 20},
        "rerank": {"strategy": "none"},
        "fusion": {"policy": "none"},
    },
}


def _given(section: Any, kind: type[Section]) -> dict[str, Any]:
    """The fields of a section that somebody set.

    A form sends every field: what is at its default there was not chosen.
    """
    if isinstance(section, Section):
        return {name: getattr(section, name) for name in section.model_fields_set}
    found = dict(section or {})
    if set(found) >= set(kind.model_fields):
        usual = kind().model_dump(mode="json")
        return {name: value for name, value in found.items() if value != usual.get(name)}
    return found


class RunConfig(Section):
    """A whole run of the pipeline."""

    former_names: ClassVar[Mapping[str, str]] = FORMER_PROFILES

    preset: Literal["best", "paper", "quick"] = "best"
    """Sets every field of `graph`, `rerank` and `fusion` that is not given. `paper`: its graph
    model, everybody's lists reranked by relevancy scores that weigh 0.8; `quick`: a first look, few
    epochs and settings, nothing reranked."""
    data: DataConfig = DataConfig()
    tmdb: TmdbConfig = TmdbConfig()
    split: SplitConfig = SplitConfig()
    llm: LLMConfig = LLMConfig()
    item_profiles: ItemProfileConfig = ItemProfileConfig()
    user_profiles: UserProfileConfig = UserProfileConfig()
    embedding: EmbeddingConfig = EmbeddingConfig()
    graph: GraphConfig = GraphConfig()
    candidates: CandidatesConfig = CandidatesConfig()
    rerank: RerankConfig = RerankConfig()
    fusion: FusionConfig = FusionConfig()
    diversity: DiversityConfig = DiversityConfig()
    explanations: ExplanationConfig = ExplanationConfig()
    fan_out: FanOutConfig = FanOutConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = Field(default=0, ge=0)
    """Seed of every random choice."""
    refit: bool = False
    """Train once more on all interactions for the lists that are served; metrics stay the
    evaluation's own."""
    dry_run: bool = False
    """Only say how many calls the language model would get, and what they would cost."""
    artifact_root: Place = Field(default_factory=artifacts_place)
    """Folder or URI of the artifacts, where every step's output is kept by content key. Default:
    the environment variable RECSYS_ARTIFACTS, else `artifacts`."""
    runs_root: Place = Field(default_factory=runs_place)
    """Folder of the runs' outputs; `latest` points to the last one. Default: the environment
    variable RECSYS_RUNS, else `runs`."""
    compare_to: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """Name of an earlier run under `runs_root`: the report gets a section that compares the two."""
    run_name: RunName | None = None
    """Name of the run's folder; an earlier run of that name is replaced. Default: the time and the
    data set."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        chosen = _PRESETS.get(str(given.get("preset"))) if isinstance(given, dict) else None
        if not chosen:
            return given
        kinds: dict[str, type[Section]] = {
            "graph": GraphConfig,
            "rerank": RerankConfig,
            "fusion": FusionConfig,
        }
        return given | {
            name: fields | _given(given.get(name), kinds[name]) for name, fields in chosen.items()
        }

    @model_validator(mode="after")
    def _a_judge_is_a_model(self) -> "RunConfig":
        if self.explanations.judge and not self.llm.uses_model:
            raise ValueError("explanations.judge needs a language model, and llm.model is rules")
        return self
