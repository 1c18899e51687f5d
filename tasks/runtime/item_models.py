"""The item-to-item part of a model's score, as tables of its artifact."""

from typing import TYPE_CHECKING, Final

from recsys_core.artifacts import ArtifactRef, ArtifactWriter

if TYPE_CHECKING:
    from recsys_core.graph.components.item_model import ItemToItemModel

FACTS: Final = "item_model"
"""Fact that the tables are read with, after the prefix of the tables."""


def write_item_model(out: ArtifactWriter, prefix: str, model: "ItemToItemModel | None") -> None:
    """Write the tables, each name after `prefix`; nothing for a model without such a part."""
    from recsys_core.graph.components.item_model import TABLES

    if model is None:
        return
    for name, table in model.tables().items():
        out.table(f"{prefix}{name}", table, TABLES[name])
    out.fact(f"{prefix}{FACTS}", dict(model.facts))


def read_item_model(ref: ArtifactRef, prefix: str) -> "ItemToItemModel | None":
    """The model that was written; None for none."""
    from recsys_core.graph.components.item_model import TABLES, ItemToItemModel

    facts = ref.manifest.facts.get(f"{prefix}{FACTS}")
    if facts is None:
        return None
    return ItemToItemModel.from_tables({n: ref.table(f"{prefix}{n}") for n in TABLES}, facts)
