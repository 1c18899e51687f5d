"""Item profiles: title, year, genres and overview in, the unified schema out (section 2.1.1)."""

from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from recsys_core.artifacts import content_hash
from recsys_core.columns import GENRES, ITEM, ITEM_PROFILES, ITEMS, OVERVIEW, TITLE, YEAR
from recsys_core.concurrency import Progress, map_bounded
from recsys_core.llm.types import Provider, Purpose, Request
from recsys_core.profiles.inputs import ItemProfileInput
from recsys_core.profiles.item_rules import write_item_profile
from recsys_core.profiles.rows import AT_ONCE, PUBLISHED, Id, Row, profile_row, profile_table
from recsys_core.profiles.schema import Profile

ITEM_PROFILE: Final = Purpose(name="item_profile", answer=Profile, rule=write_item_profile)
"""Write the profile of one item."""


async def profile_items(
    items: pl.DataFrame,
    provider: Provider,
    published: Mapping[Id, Profile] | None = None,
    on_item: Progress | None = None,
) -> pl.DataFrame:
    """A profile for every item.

    Args:
        items: `columns.ITEMS`; further columns of strings, or of lists of strings, are shown too.
        provider: who writes the profiles.
        published: ready-made profiles by item id; those items are not asked for.
        on_item: called with the number of finished items after each.

    Returns:
        `columns.ITEM_PROFILES`, sorted by item id. `evidence_hash` is the hash of the item's
        metadata: the profile has to be written again exactly when it changes.

    Raises:
        LLMError: the provider gave up.
    """
    ready = published or {}
    rest = _further_text(items)

    async def write(raw: dict[str, Any]) -> Row:
        item = item_input(raw, rest)
        key: Id = raw[ITEM]
        if key in ready:
            return _row(key, item, ready[key], PUBLISHED, PUBLISHED, turns=0, status=PUBLISHED)
        reply = await provider.ask(
            Request(purpose=ITEM_PROFILE, variables=item, subject=f"item:{key}")
        )
        return _row(
            key, item, reply.answer, reply.model, reply.prompt_version, turns=1, status=reply.status
        )

    jobs = items.iter_rows(named=True)
    rows = await map_bounded(jobs, write, at_once=AT_ONCE, on_done=on_item)
    return profile_table(rows, ITEM_PROFILES, ITEM, items.schema[ITEM])


def item_input(raw: Mapping[str, Any], further: Mapping[str, bool]) -> ItemProfileInput:
    """The variables of the prompt from one row of items.

    Args:
        raw: the row.
        further: further text columns, and whether they hold lists.
    """
    extra = {
        name: " | ".join(value) if is_list else value
        for name, is_list in further.items()
        if (value := raw[name])
    }
    return ItemProfileInput(
        title=raw[TITLE],
        year=raw[YEAR],
        genres=tuple(raw[GENRES] or ()),
        overview=raw[OVERVIEW],
        extra=extra,
    )


def _further_text(items: pl.DataFrame) -> dict[str, bool]:
    others = {name: dtype for name, dtype in items.schema.items() if name not in ITEMS}
    return {
        name: dtype != pl.String
        for name, dtype in sorted(others.items())
        if dtype in (pl.String, pl.List(pl.String))
    }


def _row(
    key: Id,
    item: ItemProfileInput,
    profile: Profile,
    model: str,
    prompt_version: str,
    *,
    turns: int,
    status: str,
) -> Row:
    return profile_row(
        ITEM,
        key,
        profile,
        title=item.title,
        model=model,
        prompt_version=prompt_version,
        evidence_hash=content_hash(item),
        turns=turns,
        status=status,
    )
