"""Item profiles: title, year, genres and overview in, the unified schema out (section 2.1.1)."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from recsys_core.artifacts import content_hash
from recsys_core.columns import (
    AVAILABLE,
    GENRES,
    ITEM,
    ITEM_PROFILES,
    ITEMS,
    NO_EVIDENCE,
    OVERVIEW,
    TITLE,
    TMDB_ID,
    YEAR,
)
from recsys_core.concurrency import Progress, map_bounded
from recsys_core.datasets.config import Role
from recsys_core.datasets.ids_as_titles import say_nothing, telling_titles
from recsys_core.llm.providers.base import Choices, Provider, Purpose, Reply, Request
from recsys_core.llm.providers.rules import RULES, RULES_VERSION
from recsys_core.llm.request.json_schema import choice, each
from recsys_core.llm.request.parsing import check_ids
from recsys_core.profiles.inputs import ItemProfileInput, ItemsProfileInput, NumberedItem
from recsys_core.profiles.rules.items import write_item_profile
from recsys_core.profiles.schema import Profile
from recsys_core.profiles.tables import AT_ONCE, PUBLISHED, Id, Row, profile_row, profile_table

ITEM_PROFILE: Final = Purpose(name="item_profile", answer=Profile, rule=write_item_profile)
"""Write the profile of one item."""


_NUMBERS: Final = "numbers"


class NumberedProfile(BaseModel):
    """The profile of one of several items."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: Annotated[str, Field(max_length=8, json_schema_extra=choice(_NUMBERS))]
    profile: Profile


class ItemProfiles(BaseModel):
    """A profile for every item of a request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profiles: Annotated[
        tuple[NumberedProfile, ...], Field(max_length=10, json_schema_extra=each(_NUMBERS))
    ]


def write_item_profiles(variables: ItemsProfileInput) -> ItemProfiles:
    """The profiles by rules, each from its own item alone."""
    return ItemProfiles(
        profiles=tuple(
            NumberedProfile(id=one.id, profile=write_item_profile(one.item))
            for one in variables.items
        )
    )


def check_numbers(variables: ItemsProfileInput, answer: ItemProfiles) -> None:
    """Refuse an answer that does not hold every number of the request once.

    Raises:
        ValueError: numbers are missing, invented or named twice.
    """
    check_ids((one.id for one in variables.items), (one.id for one in answer.profiles))


def _choices(variables: ItemsProfileInput) -> Choices:
    return {_NUMBERS: [one.id for one in variables.items]}


UNKNOWN: Final = Profile(
    overview="Nothing is known about this item but its id.",
    description="No title, genre or text says what it is.",
)
"""The profile of an item that says nothing."""

SEVERAL_PROFILES: Final = Purpose(
    name="item_profiles",
    answer=ItemProfiles,
    rule=write_item_profiles,
    check=check_numbers,
    choices=_choices,
)
"""Write the profiles of several items."""


async def profile_items(
    items: pl.DataFrame,
    provider: Provider,
    ready_made: Mapping[Id, Profile] | None = None,
    *,
    per_call: int = 1,
    on_item: Progress | None = None,
) -> pl.DataFrame:
    """A profile for every item.

    Args:
        items: `columns.ITEMS`; the further columns of `further_columns` are shown, too.
        provider: who writes the profiles.
        ready_made: profiles by item id; those items are not asked for.
        per_call: how many items a request shows; neighbours in the order of the ids.
        on_item: called with the number of finished items after each request.

    Returns:
        `columns.ITEM_PROFILES`, sorted by item id. `evidence_hash` is the hash of the item's
        metadata: the profile has to be written again exactly when it changes. An item of which
        nothing is known but its id has a neutral profile with the status `no_evidence`; nobody is
        asked for it.

    Raises:
        LLMError: the provider gave up.
    """
    ready = ready_made or {}
    rest = further_columns(items)
    written: list[Row] = []
    known = items.with_columns(telling_titles(items).fill_null(""))
    given, unknown = _among(ready, items), say_nothing(items)
    for raw in known.filter(given).iter_rows(named=True):
        item, key = item_input(raw, rest), raw[ITEM]
        written.append(_row(key, item, ready[key], PUBLISHED, PUBLISHED, turns=0, status=PUBLISHED))
    for raw in known.filter(~given & unknown).iter_rows(named=True):
        item, key = item_input(raw, rest), raw[ITEM]
        written.append(_row(key, item, UNKNOWN, RULES, RULES_VERSION, turns=0, status=NO_EVIDENCE))

    async def write(part: pl.DataFrame) -> None:
        batch = {raw[ITEM]: item_input(raw, rest) for raw in part.iter_rows(named=True)}
        written.extend(await _written(batch, provider))
        if on_item is not None:
            on_item(len(written))

    jobs = known.filter(~given & ~unknown).sort(ITEM).iter_slices(per_call)
    await map_bounded(jobs, write, at_once=AT_ONCE)
    return profile_table(written, ITEM_PROFILES, ITEM, items.schema[ITEM])


def _among(ids: Iterable[Id], items: pl.DataFrame) -> pl.Expr:
    return pl.col(ITEM).is_in(pl.Series(list(ids), dtype=items.schema[ITEM]).implode())


async def _written(batch: Mapping[Id, ItemProfileInput], provider: Provider) -> list[Row]:
    """One request about the items of `batch`, and their rows."""
    reply: Reply[Any]
    if len(batch) == 1:
        ((key, item),) = batch.items()
        subject = f"item:{key}"
        reply = await provider.ask(Request(purpose=ITEM_PROFILE, variables=item, subject=subject))
        found = {key: reply.answer}
    else:
        numbers = {str(number): key for number, key in enumerate(batch, start=1)}
        shown = tuple(NumberedItem(id=one, item=batch[key]) for one, key in numbers.items())
        reply = await provider.ask(
            Request(
                purpose=SEVERAL_PROFILES,
                variables=ItemsProfileInput(items=shown),
                subject=f"items:{','.join(map(str, batch))}",
                parts=len(batch),
            )
        )
        found = {numbers[one.id]: one.profile for one in reply.answer.profiles}
    return [
        _row(key, item, found[key], reply.model, reply.prompt_version, turns=1, status=reply.status)
        for key, item in batch.items()
    ]


def item_input(raw: Mapping[str, Any], further: Mapping[str, Role]) -> ItemProfileInput:
    """The variables of the prompt from one row of items.

    Args:
        raw: the row.
        further: further columns, and what each is.
    """
    known = {name: role for name, role in further.items() if raw[name] not in (None, [], "")}
    return ItemProfileInput(
        title=raw[TITLE],
        year=raw[YEAR],
        genres=tuple(raw[GENRES] or ()),
        overview=raw[OVERVIEW],
        extra={name: _as_text(raw[name]) for name in known},
        labels=tuple(name for name, role in known.items() if role == "labels"),
        prose=tuple(name for name, role in known.items() if role == "prose"),
    )


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return " | ".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def further_columns(items: pl.DataFrame) -> dict[str, Role]:
    """Columns beyond `columns.ITEMS` that profiles are written from, by what their type says.

    Ingest keeps only those that are known or chosen (`data.text_columns`).
    """
    roles: dict[str, Role] = {}
    for name, dtype in sorted(items.schema.items()):
        if name in ITEMS or name in (TMDB_ID, AVAILABLE):
            continue
        if dtype == pl.List(pl.String):
            roles[name] = "labels"
        elif dtype == pl.String:
            roles[name] = "prose"
        elif dtype.is_numeric():
            roles[name] = "number"
        elif dtype == pl.Date:
            roles[name] = "date"
    return roles


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
