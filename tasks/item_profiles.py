"""Step `item_profiles`: a structured profile of every item."""

from collections.abc import Mapping
from typing import Any

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import ITEM, ITEM_PROFILES
from recsys_core.llm.config import LLMConfig
from recsys_core.profiles.config import ItemProfileConfig
from recsys_core.profiles.items import ITEM_PROFILE, SEVERAL_PROFILES, profile_items
from tasks.runtime.llm_calls import ask, prompts_in_use
from tasks.runtime.progress import progress
from tasks.runtime.published_profiles import published_profiles
from tasks.runtime.references import CatalogueRef, ItemProfilesRef
from tasks.runtime.step import DAY, step


def _rests_on(inputs: Mapping[str, Any]) -> Mapping[str, object]:
    asked = SEVERAL_PROFILES if inputs["config"].per_call > 1 else ITEM_PROFILE
    return prompts_in_use(inputs["llm"], asked)


@step(
    "item_profiles",
    version="12",
    returns=ItemProfilesRef,
    timeout_seconds=DAY,
    tags=("llm",),
    rests_on=_rests_on,
)
def item_profiles(
    out: ArtifactWriter,
    *,
    catalogue: CatalogueRef,
    llm: LLMConfig,
    config: ItemProfileConfig,
    published: str | None = None,
) -> None:
    """Write a profile of every item, one request each by default (paper, section 2.1.1).

    Args:
        out: tables `item_profiles` and `llm_calls`.
        catalogue: the items.
        llm: who writes.
        config: items per request; ready-made profiles, if any.
        published: content hash of the file of ready-made profiles.
    """
    items = catalogue.table("items")
    ready = published_profiles(out, config.file, published, ITEM, items[ITEM])
    with progress("item profiles", items.height) as report:
        profiles = ask(
            out,
            llm,
            lambda model: profile_items(
                items, model, ready, per_call=config.per_call, on_item=report
            ),
        )
    out.table("item_profiles", profiles, ITEM_PROFILES)
