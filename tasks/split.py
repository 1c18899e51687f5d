"""Step `split`: interactions cut into training, validation and test."""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import INTERACTIONS
from recsys_core.datasets import splits
from recsys_core.datasets.config import SplitConfig
from recsys_core.datasets.split_parts import Split
from tasks.runtime.references import LEARNED, MASKED, NO_PART, SHOWN, DatasetRef, SplitRef
from tasks.runtime.step import step


@step("split", version="2", returns=SplitRef)
def split(out: ArtifactWriter, *, data: DatasetRef, config: SplitConfig, seed: int) -> None:
    """Divide the interactions into train, valid and test.

    Args:
        out: these tables; the facts say which parts are learned from and which lists leave out.
        data: the ingested data set.
        config: kind and parts.
        seed: of whatever is drawn.
    """
    _write(out, splits.split_interactions(data.table("interactions"), config, seed))
    out.fact(LEARNED, config.learned)
    out.fact(SHOWN, config.shown)
    out.fact(MASKED, NO_PART if data.allow_repeats else config.masked)


@step("split_everything", version="2", returns=SplitRef)
def split_everything(out: ArtifactWriter, *, data: DatasetRef) -> None:
    """Keep all interactions for training: the split of the second pass of a `refit`."""
    _write(out, splits.everything(data.table("interactions")))
    out.fact(LEARNED, "train")
    out.fact(SHOWN, "train")
    out.fact(MASKED, NO_PART if data.allow_repeats else "train")


def _write(out: ArtifactWriter, parts: Split) -> None:
    out.table("train", parts.train, INTERACTIONS)
    out.table("valid", parts.valid, INTERACTIONS)
    out.table("test", parts.test, INTERACTIONS)
    out.fact("kind", parts.kind)
    for name, value in parts.facts.items():
        out.fact(name, value)
