"""Data as people have them through the whole pipeline, and refusals before anything is paid."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flows.personalize import personalize
from recsys_core.columns import (
    AVAILABLE,
    EXPLANATION,
    GENRES,
    ITEM,
    LIKED,
    POLARITY,
    RATING,
    TAGS,
    TIMESTAMP,
    TITLE,
    USER,
)
from recsys_core.config import RunConfig, load_config
from recsys_core.report.summary import Summary
from tests.flows.llm_run import KEY, KEY_ENV, Endpoint, command
from tests.small_data import N_USERS, small_items, write_small

pytestmark = pytest.mark.usefixtures("prefect_server")

STRANGER, GONE, SOLD_OUT = "u-new", "film-00", "film-01"


def config_for(folder: Path, **overrides: Any) -> RunConfig:
    data = {"source": str(folder / "data"), **overrides.pop("data", {})}
    return load_config(
        None,
        {
            "data": data, "graph": {"max_epochs": 3, "hidden": 8, "heads": 2, "effort": "quick"},
            "evaluation": {"bootstrap": 20}, "artifact_root": str(folder / "artifacts"),
            "runs_root": str(folder / "runs"), **overrides,
        },
    )  # fmt: skip


def tables(summary: Summary, step: str, name: str) -> pl.DataFrame:
    place = next(one.artifact for one in summary.steps if one.step == step)
    return pl.read_parquet(f"{place}/{name}.parquet")


@pytest.fixture(scope="module")
def unary(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Summary:
    """No ratings and no genres; a customer without a purchase; a removed and a sold-out item."""
    folder = tmp_path_factory.mktemp("unary")
    write_small(folder / "data")
    rows = pl.read_parquet(folder / "data" / "interactions.parquet")
    rows.select(USER, ITEM).write_parquet(folder / "data" / "interactions.parquet")
    small_items().filter(pl.col(ITEM) != GONE).drop(GENRES, "overview").with_columns(
        (pl.col(ITEM) != SOLD_OUT).alias(AVAILABLE),
        original_language=pl.lit("en"), status=pl.lit("Released"), reason=pl.lit("x"),
        poster=pl.format("/images/{}.jpg", ITEM),
    ).write_parquet(folder / "data" / "items.parquet")  # fmt: skip
    users = sorted({*rows[USER], STRANGER})
    pl.DataFrame({USER: users, "age": 30}).write_parquet(folder / "data" / "users.parquet")
    found = personalize(config_for(folder))
    assert found is not None
    return found


def lists_of(summary: Summary) -> pl.DataFrame:
    return pl.read_parquet(Path(summary.folder) / "recommendations.parquet")


def test_unary_data_go_from_profiles_to_reasons(unary: Summary) -> None:
    assert unary.facts["ingest"]["scale"]["feedback"] == "implicit"
    evidence = tables(unary, "user_profiles", "evidence")
    assert evidence[POLARITY].unique().to_list() == [LIKED]
    lists = lists_of(unary)
    assert lists[USER].n_unique() == N_USERS + 1
    assert lists[EXPLANATION].str.len_chars().min() > 10  # type: ignore[operator]
    # A fond user bought of all genres alike: there is nothing to learn, but there are hits.
    assert 0 < (unary.headline["gat"]["ndcg"] or 0) < 0.6


def test_a_user_without_a_history_gets_a_list(unary: Summary) -> None:
    assert STRANGER in set(lists_of(unary)[USER])


def test_items_that_are_gone_or_sold_out_teach_and_are_never_recommended(unary: Summary) -> None:
    assert not {GONE, SOLD_OUT} & set(lists_of(unary)[ITEM])
    assert {GONE, SOLD_OUT} <= set(tables(unary, "split", "train")[ITEM])
    for name in ("popularity", "ease"):
        assert not {GONE, SOLD_OUT} & set(tables(unary, "baselines", name)[ITEM])
    assert any(
        "1 item that the items table lacks: kept" in n for n in unary.facts["ingest"]["notes"]
    )


def test_further_columns_become_no_themes(unary: Summary) -> None:
    shown = tables(unary, "item_profiles", "item_profiles").explode(TAGS)[TAGS].drop_nulls()
    said = " ".join([*shown, *lists_of(unary)[EXPLANATION]]).casefold()
    for word in ("released", ".jpg", " en "):
        assert word not in said
    note = next(n for n in unary.facts["ingest"]["notes"] if "left out" in n)
    assert "original_language, poster, reason, status" in note


def test_metrics_without_a_value_are_null(unary: Summary) -> None:
    assert unary.headline["gat"]["diversity"] is None


def test_a_run_without_a_liked_test_item_ends_with_nulls(tmp_path: Path) -> None:
    write_small(tmp_path / "data")
    path = tmp_path / "data" / "interactions.parquet"
    rows = pl.read_parquet(path).sort(RATING, USER)
    # 12 ratings; the lowest ones are the first block, which is the test part.
    pl.concat([rows.head(4), rows.tail(8)]).write_parquet(path)
    split = {"kind": "blocks", "fold": 1, "valid_share": 0.3}
    found = personalize(config_for(tmp_path, split=split, data={"rating_min": 1, "rating_max": 10}))
    assert found is not None
    assert found.headline["gat"]["ndcg"] is None


@pytest.mark.parametrize("kind", ["time", "last"])
def test_counts_with_times_and_repeats(kind: str, tmp_path: Path) -> None:
    write_small(tmp_path / "data")
    path = tmp_path / "data" / "interactions.parquet"
    rows = pl.read_parquet(path).with_row_index("_n")
    days = pl.from_epoch(pl.col("_n") * 86_400 + 10**9)
    rows = rows.with_columns((pl.col(RATING) ** 3).alias("plays"), days.alias(TIMESTAMP))
    rows = rows.drop(RATING, "_n")
    rows.write_parquet(path)
    found = personalize(config_for(tmp_path, split={"kind": kind}, data={"allow_repeats": True}))
    assert found is not None
    assert found.facts["split"]["kind"] == kind
    assert found.facts["split"]["masked"] == "none"
    known = tables(found, "split", "train").select(USER, ITEM)
    again = lists_of(found).join(known, on=[USER, ITEM])
    assert again.height, "what somebody played may be recommended again"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with Endpoint(tmp_path_factory.mktemp("refused")) as server:
        yield server


LONG = "https://example.org/" + "a" * 200


def _small(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    write_small(folder)
    return pl.read_parquet(folder / "interactions.parquet"), small_items()


REFUSED: dict[str, tuple[Any, Any, dict[str, str], list[str]]] = {
    "long ids": (
        lambda rows: rows.with_columns(pl.col(ITEM) + LONG),
        lambda items: items.with_columns(pl.col(ITEM) + LONG),
        {}, ["60 rows have an id of more than 200 characters", "number the items"],
    ),
    "unknown names": (
        lambda rows: rows.rename({USER: "who"}), lambda items: items.rename({TITLE: "label"}),
        {}, ["missing column user_id", "missing column title", "--data.columns"],
    ),
    "ids of another kind": (
        lambda rows: rows, lambda items: items.with_columns(pl.int_range(60).alias(ITEM)),
        {}, ["no item_id of the interactions is in the items"],
    ),
    "several at once": (
        lambda rows: rows.with_columns(pl.lit(None).alias(RATING)),
        lambda items: pl.concat([items, items.head(1)]),
        {"data.text_columns": "{actor: labels}"},
        ["null, NaN or infinite rating", "2 rows repeat a item_id", "no column actor"],
    ),
    "nothing liked": (
        lambda rows: rows.with_columns(pl.col(RATING).clip(1, 4)), lambda items: items,
        {}, ["none of the 768 ratings is 7.75 or more"],
    ),
    "no times": (
        lambda rows: rows, lambda items: items, {"split.kind": "time"}, ["no timestamp"],
    ),
    "no part": (
        lambda rows: rows, lambda items: items, {"split.kind": "given"}, ["no column part"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("dry", [False, True], ids=["run", "dry run"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused_before_the_first_call(
    case: str, dry: bool, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_ENV, KEY)
    of_rows, of_items, more, messages = REFUSED[case]
    rows, items = _small(endpoint.place / "data")
    of_rows(rows).write_parquet(endpoint.place / "data" / "interactions.parquet")
    of_items(items).write_parquet(endpoint.place / "data" / "items.parquet")
    ended = command([*endpoint.arguments(**more), *(["--dry-run"] if dry else [])])
    assert ended.status == 2
    said = ended.error("DataError")
    for message in messages:
        assert message in said
    assert not endpoint.prompts
