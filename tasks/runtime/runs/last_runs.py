"""What the last run of a configuration left under the artifact root, for the next one to go on.

One small file per configuration of model and lists: `<root>/state/last_runs/<configuration>.json`,
with the last run of every data source. It is written when a run has ended: one that was killed
goes on from the same place as before, to the same bytes.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

import polars as pl
import pyarrow.fs as pafs
from pydantic import BaseModel, ConfigDict, ValidationError

from recsys_core.artifacts import ArtifactRef, content_hash, open_artifact
from recsys_core.artifacts.filesystem import resolve, storage_error
from recsys_core.columns import ITEM, USER
from recsys_core.config import RunConfig
from recsys_core.errors import DamagedArtifact, StorageError
from recsys_core.processes import temporary_name
from tasks.runtime.references import (
    AttributionsRef,
    CandidatesRef,
    EmbeddingsRef,
    ModelRef,
    RecommendationsRef,
    Results,
    SplitRef,
)

R = TypeVar("R", bound=ArtifactRef)

SAME_DATA: Final = 0.5
"""Share of the interactions known today that an earlier run of the same data knew, at least."""
SERVED: Final = "served_"
"""Prefix of what the second pass of a `refit` made."""
_UPSTREAM: Final = (
    "tmdb", "split", "item_profiles", "user_profiles", "embedding", "graph", "seed",
)  # fmt: skip
_LISTS: Final = ("rerank", "fusion", "diversity", "explanations", "candidates", "refit")
_PLACES: Final = frozenset({"source", "folder"})

logger = logging.getLogger(__name__)


class LastRun(BaseModel):
    """The artifacts of a run by their role, and what it was a run of.

    Attributes:
        run: its name.
        source: where its data lay.
        lists: hash of the configuration of its lists.
        artifacts: role -> URI.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    source: str
    lists: str = ""
    artifacts: Mapping[str, str]

    def ref(self, role: str, kind: type[R]) -> R | None:
        """The artifact of a role, read and found intact; None where it is not there any more."""
        if role not in self.artifacts:
            return None
        try:
            return open_artifact(self.artifacts[role]).as_type(kind)
        except DamagedArtifact:
            logger.info("the last run's %s is gone or damaged, and not used", role)
            return None

    def split(self, *, served: bool = False) -> SplitRef | None:
        """What its model was trained on."""
        return self.ref(f"{SERVED if served else ''}split", SplitRef)

    def model(self, *, served: bool = False) -> ModelRef | None:
        """Its model; the one that was trained on everything, if it was refitted and is `served`."""
        return self.ref(f"{SERVED if served else ''}train", ModelRef)

    def embeddings(self, *, served: bool = False) -> EmbeddingsRef | None:
        """What its model was told of users and items."""
        return self.ref(f"{SERVED if served else ''}embeddings", EmbeddingsRef)

    def candidates(self, *, served: bool = False) -> CandidatesRef | None:
        """Its candidates."""
        return self.ref(f"{SERVED if served else ''}candidates", CandidatesRef)

    def attributions(self) -> AttributionsRef | None:
        """What made the lists that it served."""
        return self.ref("attributions", AttributionsRef)

    def recommendations(self) -> RecommendationsRef | None:
        """The lists that it served."""
        return self.ref("recommendations", RecommendationsRef)


def lists_of(config: RunConfig) -> str:
    """Hash of what decides how lists are made of the graph model's scores, and by whom."""
    return content_hash([getattr(config, name) for name in _LISTS] + [config.llm.model])


def source_of(config: RunConfig) -> str:
    """Where the data of a configuration lie."""
    return str(config.data.folder or config.data.source)


class LastRuns:
    """The last runs of a configuration, whatever the place of their data.

    Args:
        config: its parameters; where data and outputs lie is no part of what is the same.
    """

    def __init__(self, config: RunConfig) -> None:
        data = {k: v for k, v in config.data.identity().items() if k not in _PLACES}
        parts = [data, *(getattr(config, name) for name in _UPSTREAM), config.llm.model]
        self._filesystem, base = resolve(config.artifact_root)
        self._path = f"{base.rstrip('/')}/state/last_runs/{content_hash(parts)[:32]}.json"
        self._source = source_of(config)

    def all(self) -> list[LastRun]:
        """The last run of each source: this configuration's first, then the newest first."""
        found = self._read()
        return sorted(found, key=lambda one: one.source != self._source)

    def of_these_data(self, split: SplitRef) -> LastRun | None:
        """The first one that knew at least half of the interactions that are known today."""
        for one in self.all():
            earlier = one.split()
            if earlier is not None and knows(earlier, split) >= SAME_DATA:
                return one
        return None

    def put(self, run: LastRun) -> None:
        """Make `run` the last one of its source, and the newest."""
        others = [one for one in self._read() if one.source != run.source]
        rows = [one.model_dump(mode="json") for one in (run, *others)]
        folder, _, name = self._path.rpartition("/")
        scratch = f"{folder}/{temporary_name(name)}"
        try:
            self._filesystem.create_dir(folder, recursive=True)
            with self._filesystem.open_output_stream(scratch) as stream:
                stream.write(json.dumps(rows, indent=1).encode())
            self._filesystem.move(scratch, self._path)
        except OSError as error:
            raise storage_error(self._path, error) from error

    def _read(self) -> list[LastRun]:
        try:
            if self._filesystem.get_file_info(self._path).type == pafs.FileType.NotFound:
                return []
            with self._filesystem.open_input_stream(self._path) as stream:
                return [LastRun.model_validate(one) for one in json.loads(stream.read())]
        except OSError as error:
            raise StorageError(
                f"{self._path} cannot be read: {error}", fix="check the permissions and the store."
            ) from error
        except (ValueError, ValidationError) as error:
            raise StorageError(
                f"{self._path} does not say which runs were the last ones: {error}",
                expected="what a run wrote when it ended.",
                fix="remove the file; the next run then chooses everything anew.",
            ) from error


def knows(earlier: SplitRef, now: SplitRef) -> float:
    """Share of the interactions known today that an earlier run knew; 0 for ids of other types."""
    before, today = (one.known.select(USER, ITEM) for one in (earlier, now))
    if before.schema != today.schema or today.is_empty():
        return 0.0
    return today.join(before, on=[USER, ITEM], how="semi").height / today.height


def left_by(config: RunConfig, run: str, made: Results, served: Results) -> LastRun:
    """What a run that has ended leaves: of the pass that was measured, and of that served."""
    artifacts = dict(_roles(made))
    if served is not made:
        artifacts |= {f"{SERVED}{role}": uri for role, uri in _roles(served)}
    if hasattr(served, "recommendations"):
        artifacts["recommendations"] = served.recommendations.uri
        artifacts["attributions"] = served.attributions.uri
    return LastRun(run=run, source=source_of(config), lists=lists_of(config), artifacts=artifacts)


def _roles(made: Results) -> Iterator[tuple[str, str]]:
    yield "split", made.split.uri
    yield "train", made.model.uri
    yield "embeddings", made.embeddings.uri
    yield "candidates", made.candidates.uri


def moved_rows(earlier: SplitRef, now: SplitRef) -> pl.DataFrame:
    """USER and ITEM of what an earlier model learned from, and what today's may not learn from."""
    pairs = [USER, ITEM]
    known = earlier.known.select(pairs).join(now.known.select(pairs), on=pairs, how="anti")
    trained = earlier.table("train").select(pairs)
    return pl.concat([known, trained.join(now.table("train"), on=pairs, how="anti")]).unique()
