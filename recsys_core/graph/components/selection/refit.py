"""A sum of components whose settings and weights are known, fitted to any rows."""

from typing import Final

from recsys_core.errors import DataError
from recsys_core.graph.components.effort import BUDGETS
from recsys_core.graph.components.histories import Histories
from recsys_core.graph.components.item_model import Facts, ItemToItemModel, summed
from recsys_core.graph.components.item_to_item.component_table import COMPONENTS
from recsys_core.graph.components.item_to_item.fit_data import FitData
from recsys_core.graph.interaction_graph import Floats

MEMORY: Final = 4 << 30
"""Bytes that a fit may take where nobody says how many there are."""
ROW_ENTRIES: Final = "row_entries"
"""Fact: entries that a row of the summed maps keeps."""
NEWCOMERS: Final = "users_without_history"
"""Fact: the popularity that ranks for users without a history, and its settings."""


def refit_from(
    facts: Facts,
    histories: Histories,
    *,
    features: Floats | None = None,
    memory: int = MEMORY,
) -> ItemToItemModel:
    """The model that `facts` describe, fitted on other rows: nothing is chosen anew.

    Args:
        facts: `ItemToItemModel.facts`, also as read back from JSON.
        histories: rows to fit on.
        features: (n_items, d) what items are known by.
        memory: bytes that one fit may take.

    Raises:
        DataError: a component needs something that these rows lack.
    """
    data = FitData(
        histories=histories,
        features=features,
        budget=BUDGETS[facts["effort"]],
        memory=memory,
        seed=facts["seed"],
    )
    missing, parts = data.lacks(), []
    for name, entry in facts["components"].items():
        lacking = COMPONENTS[name].needs & missing
        if lacking:
            raise DataError(
                f"The component {name} was chosen, and these rows lack {'; '.join(lacking)}.",
                expected="rows of the kind that the components were chosen on.",
                fix="train anew instead of refitting.",
            )
        parts.append((COMPONENTS[name].fit(data, entry["settings"]), entry["weight"]))
    newcomers = None
    for name, entry in facts.get(NEWCOMERS, {}).items():
        newcomers = COMPONENTS[name].fit(data, entry["settings"])
    return summed(
        parts,
        histories.shape[1],
        most=row_entries(facts),
        usual=data.usual,
        newcomers=newcomers,
        facts=facts,
    )


def row_entries(facts: Facts) -> int | None:
    """Entries that a row keeps; None for all."""
    return int(facts["cut"][ROW_ENTRIES]) if ROW_ENTRIES in facts["cut"] else None
