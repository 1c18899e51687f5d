"""Steps `split`, `test_split` and `split_everything`: interactions cut into parts.

The test part is an artifact of its own: no step that trains or chooses receives it, and a changed
test rating leaves the model as it is.
"""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import INTERACTIONS
from recsys_core.datasets import splits
from recsys_core.datasets.config import SplitConfig
from recsys_core.datasets.split_parts import Split
from tasks.runtime.references import (
    LEARNED,
    MASKED,
    NO_PART,
    SHOWN,
    HeldOutRef,
    InteractionsRef,
    SplitRef,
)
from tasks.runtime.step import step


@step("split", version="8", returns=SplitRef)
def split(
    out: ArtifactWriter,
    *,
    interactions: InteractionsRef,
    config: SplitConfig,
    seed: int,
    allow_repeats: bool,
) -> None:
    """Divide the interactions: train and valid.

    Args:
        out: these tables; the facts say which parts are learned from and which lists leave out.
        interactions: of the data set.
        config: kind and parts.
        seed: of whatever is drawn.
        allow_repeats: whether lists may hold what a user knows.
    """
    parts = splits.split_interactions(interactions.table("interactions"), config, seed)
    _write(out, parts)
    _tell(out, config.learned, config.shown, NO_PART if allow_repeats else config.masked)


@step("test_split", version="6", returns=HeldOutRef)
def test_split(
    out: ArtifactWriter, *, interactions: InteractionsRef, config: SplitConfig, seed: int
) -> None:
    """Divide the interactions in the same way: test."""
    parts = splits.split_interactions(interactions.table("interactions"), config, seed)
    out.table("test", parts.test, INTERACTIONS)
    out.fact("kind", parts.kind)


@step("split_everything", version="8", returns=SplitRef)
def split_everything(
    out: ArtifactWriter, *, interactions: InteractionsRef, allow_repeats: bool
) -> None:
    """Keep all interactions for training: the split of the second pass of a `refit`."""
    parts = splits.everything(interactions.table("interactions"))
    _write(out, parts)
    _tell(out, "train", "train", NO_PART if allow_repeats else "train")


def _write(out: ArtifactWriter, parts: Split) -> None:
    out.table("train", parts.train, INTERACTIONS)
    out.table("valid", parts.valid, INTERACTIONS)
    out.fact("kind", parts.kind, in_content=True)
    for name, value in parts.facts.items():
        out.fact(name, value)


def _tell(out: ArtifactWriter, learned: str, shown: str, masked: str) -> None:
    """Facts that later steps read, so that other values of them are another content."""
    for name, parts in ((LEARNED, learned), (SHOWN, shown), (MASKED, masked)):
        out.fact(name, parts, in_content=True)
