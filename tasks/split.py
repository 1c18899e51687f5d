"""Step `split`: interactions cut into training, validation and test."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import INTERACTIONS
from recsys_core.datasets import splits
from recsys_core.datasets.config import SplitConfig
from tasks.runtime.references import DatasetRef, SplitRef
from tasks.runtime.step import step


@step("split", version="1", returns=SplitRef)
def split(out: ArtifactWriter, *, data: DatasetRef, config: SplitConfig, seed: int) -> None:
    """Cut one fold: train, valid and test."""
    _write(out, splits.split_interactions(data.table("interactions"), config, seed))


@step("split_everything", version="1", returns=SplitRef)
def split_everything(out: ArtifactWriter, *, data: DatasetRef) -> None:
    """Keep all interactions for training: the split of the second pass of a `refit`."""
    _write(out, splits.everything(data.table("interactions")))


def _write(out: ArtifactWriter, parts: splits.Split) -> None:
    out.table("train", parts.train, INTERACTIONS)
    out.table("valid", parts.valid, INTERACTIONS)
    out.table("test", parts.test, INTERACTIONS)
    out.fact("kind", parts.kind)
