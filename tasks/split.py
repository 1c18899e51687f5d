"""Split: which interactions are learned from, which stop the training, which judge it."""

from recsys_core.artifacts import ArtifactRef, ArtifactWriter
from recsys_core.columns import INTERACTIONS
from recsys_core.datasets import splits
from recsys_core.datasets.config import SplitConfig
from tasks.runtime.step import step


@step("split", version="1")
def split(out: ArtifactWriter, data: ArtifactRef, config: SplitConfig, seed: int) -> None:
    """Cut one fold: train, valid and test."""
    _write(out, splits.split_interactions(data.table("interactions"), config, seed))


@step("split_everything", version="1")
def split_everything(out: ArtifactWriter, data: ArtifactRef) -> None:
    """Keep all interactions for training: the split behind lists that are served."""
    _write(out, splits.everything(data.table("interactions")))


def _write(out: ArtifactWriter, parts: splits.Split) -> None:
    out.table("train", parts.train, INTERACTIONS)
    out.table("valid", parts.valid, INTERACTIONS)
    out.table("test", parts.test, INTERACTIONS)
    out.fact("kind", parts.kind)
