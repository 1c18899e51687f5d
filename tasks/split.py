"""Steps `split`, `test_split` and `split_everything`: interactions cut into parts.

The test part is an artifact of its own: no step that trains or chooses receives it, and a changed
test rating leaves the model as it is.
"""

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import INTERACTIONS
from recsys_core.datasets import splits
from recsys_core.datasets.config import SplitConfig
from tasks.runtime.references import HeldOutRef, InteractionsRef, SplitRef
from tasks.runtime.step import step


@step("split", version="2", returns=SplitRef)
def split(
    out: ArtifactWriter, *, interactions: InteractionsRef, config: SplitConfig, seed: int
) -> None:
    """Cut one fold: train and valid."""
    parts = splits.split_interactions(interactions.table("interactions"), config, seed)
    _write(out, parts)


@step("test_split", version="1", returns=HeldOutRef)
def test_split(
    out: ArtifactWriter, *, interactions: InteractionsRef, config: SplitConfig, seed: int
) -> None:
    """Cut the same fold: test."""
    parts = splits.split_interactions(interactions.table("interactions"), config, seed)
    out.table("test", parts.test, INTERACTIONS)
    out.fact("kind", parts.kind)


@step("split_everything", version="2", returns=SplitRef)
def split_everything(out: ArtifactWriter, *, interactions: InteractionsRef) -> None:
    """Keep all interactions for training: the split of the second pass of a `refit`."""
    _write(out, splits.everything(interactions.table("interactions")))


def _write(out: ArtifactWriter, parts: splits.Split) -> None:
    out.table("train", parts.train, INTERACTIONS)
    out.table("valid", parts.valid, INTERACTIONS)
    out.fact("kind", parts.kind)
