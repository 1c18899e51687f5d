"""Steps that place chosen users, and what came since training, without training."""

from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core.artifacts import ArtifactWriter
from recsys_core.columns import (
    ATTRIBUTES,
    ATTRIBUTIONS,
    CANDIDATES,
    EVIDENCE,
    INTERACTIONS,
    ITEM,
    ITEM_PROFILES,
    ITEMS,
    PROBE,
    RERANKED,
    RERANKED_USERS,
    STATUS,
    UNKNOWN,
    USER,
    USER_PROFILES,
    VISITORS,
)
from recsys_core.serving.answers import as_reranked, notes_of
from recsys_core.serving.causes import visitor_causes
from recsys_core.serving.drift import new_pairs
from recsys_core.serving.new_items import placed_items
from recsys_core.serving.product.loading import open_model
from recsys_core.serving.product.model import ServedModel
from recsys_core.serving.product.policy import reranked_users
from recsys_core.serving.profiles import described, with_known
from recsys_core.serving.request import (
    RecommendConfig,
    barred_items,
    new_ratings,
    told_attributes,
    told_items,
    wanted_users,
)
from recsys_core.serving.visitors import Visitors, visitors_of
from tasks.runtime.references import (
    LEARNED,
    MASKED,
    SHOWN,
    ArrivalsRef,
    CatalogueRef,
    ItemProfilesRef,
    PlacedRef,
    PolicyRef,
    RerankedRef,
    ServedModelRef,
    UserProfilesRef,
)
from tasks.runtime.step import step
from tasks.runtime.vector_tables import write_vectors

NOTES: Final = "notes"
"""Fact: sentences about what was left out or is not known."""


@step("arrivals", version="46", returns=ArrivalsRef)
def arrivals(
    out: ArtifactWriter, *, served: ServedModelRef, asked: RecommendConfig, came: dict[str, Any]
) -> None:
    """Read and check for whom lists are wanted, and what is new.

    Args:
        out: tables `visitors` (everybody), `users` (those who are not placed by training), `train`
            (all that they rated), `valid` (empty), `items` (all) and `new_items`.
        served: the model.
        asked: names the files.
        came: hashes of these files (`serving.request.fingerprint`).
    """
    model = open_model(served.uri)
    told = told_items(asked, model)
    new = model.items.clear() if told is None else model.unknown_items(told)
    model = model.knowing(new)
    found = visitors_of(
        model, wanted_users(asked.users), new_ratings(asked, model), told_attributes(asked)
    )
    out.table("visitors", _visitor_table(found), VISITORS)
    out.table("users", found.placed.to_frame(), {USER: None})
    out.table("train", found.history, INTERACTIONS)
    out.table("valid", found.history.clear(), INTERACTIONS)
    out.table("items", model.items, ITEMS)
    out.table("new_items", new, ITEMS)
    # The same table stands for a split: all that a visitor rated places them, and is left out.
    for name in (LEARNED, SHOWN, MASKED):
        out.fact(name, "train", in_content=True)
    out.fact("new_ratings", new_pairs(found.history, model.histories))
    out.fact("came", came)
    out.fact("visitors", len(found))


@step("new_catalogue", version="46", returns=CatalogueRef)
def new_catalogue(out: ArtifactWriter, *, came: ArrivalsRef) -> None:
    """The new items as a catalogue of their own, whose profiles are written."""
    out.table("items", came.table("new_items"), ITEMS)


@step("item_profiles_joined", version="46", returns=ItemProfilesRef)
def joined_item_profiles(
    out: ArtifactWriter, *, served: ServedModelRef, new: ItemProfilesRef
) -> None:
    """Profiles of the model's items and of the new ones, as one table."""
    old, later = served.table("item_profiles"), new.table("item_profiles")
    both = pl.concat([old, later.with_columns(pl.col(ITEM).cast(old.schema[ITEM]))])
    out.table("item_profiles", both, ITEM_PROFILES)


@step("placed", version="46", returns=PlacedRef)
def placed(
    out: ArtifactWriter,
    *,
    served: ServedModelRef,
    came: ArrivalsRef,
    items: ItemProfilesRef,
    profiles: UserProfilesRef | None,
    asked: RecommendConfig,
    allowed: dict[str, Any],
    writer: str,
    k: int,
) -> None:
    """Place the users, and rank the items for each of them.

    Args:
        out: tables `candidates`, `attributions` (their causes), `reranked_users` (whose lists are
            judged, and how), `users` and `items` (text vectors), `user_profiles` and `evidence` of
            everybody; and the notes.
        served: the model.
        came: the users.
        items: profiles of all items.
        profiles: of the users who are not placed by training; None where there are none.
        asked: names the files of what may be recommended.
        allowed: hashes of these files.
        writer: the language model in use; the run's probe speaks of its own alone.
        k: length of the lists.
    """
    model = open_model(served.uri)
    new = came.table("new_items")
    if new.height:
        model = placed_items(model, new, items.table("item_profiles"))
    visitors = read_visitors(came, model)
    written = None if profiles is None else profiles.table("user_profiles")
    shown = None if profiles is None else profiles.table("evidence")
    known, evidence = with_known(model, visitors, written, shown)
    judged, why = reranked_users(model, visitors, writer)
    visitors = described(model, visitors, known, everybody=judged.height > 0)
    lists = model.lists(visitors, k, barred_items(asked, model))
    out.table("candidates", lists, CANDIDATES)
    out.table("attributions", visitor_causes(model, visitors, lists), ATTRIBUTIONS)
    out.table("reranked_users", judged, RERANKED_USERS)
    write_vectors(out, "users", visitors.users, visitors.texts)
    write_vectors(out, "items", model.items[ITEM], model.item_texts)
    out.table("user_profiles", known, USER_PROFILES)
    out.table("evidence", evidence, EVIDENCE)
    out.fact(NOTES, [*notes_of(visitors, lists), *([why] if why else [])])
    out.fact("allowed", allowed)


def _visitor_table(found: Visitors) -> pl.DataFrame:
    attributes = pl.Series(
        ATTRIBUTES, [row.tolist() for row in found.attributes], pl.List(pl.Float32)
    )
    return pl.DataFrame(
        [found.users, pl.Series(STATUS, found.status, pl.String),
         pl.Series(UNKNOWN, found.unknown, pl.Int64), attributes]
    )  # fmt: skip


def read_visitors(came: ArrivalsRef, model: ServedModel) -> Visitors:
    """The visitors that the step wrote."""
    table = came.table("visitors")
    width = len(table[ATTRIBUTES][0]) if table.height else 0
    rows = np.array(table[ATTRIBUTES].to_list(), np.float32).reshape(table.height, width)
    return Visitors(
        users=table[USER], status=table[STATUS].to_list(), history=came.table("train"),
        unknown=table[UNKNOWN].to_numpy(), attributes=rows,
        texts=np.zeros((table.height, model.placing.text_width), np.float32),
    )  # fmt: skip


@step("visitors_policy", version="46", returns=PolicyRef)
def visitors_policy(out: ArtifactWriter, *, placed: PlacedRef) -> None:
    """Those of the placed users whose lists are judged, as the policy that reranking reads."""
    out.table("users", placed.table("reranked_users"), RERANKED_USERS)
    out.table("probe", pl.DataFrame(schema=dict(PROBE)), PROBE)


@step("as_ranked", version="46", returns=RerankedRef)
def as_ranked(out: ArtifactWriter, *, placed: PlacedRef) -> None:
    """The model's lists as those to serve, where nobody judges any."""
    out.table("reranked", as_reranked(placed.table("candidates")), RERANKED)
