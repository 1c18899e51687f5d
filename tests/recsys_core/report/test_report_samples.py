"""The users of the report, and a profile's Markdown as text."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.columns import (
    INTERACTIONS,
    ITEM,
    ITEMS,
    MARKDOWN,
    MODEL,
    RECOMMENDATIONS,
    TITLE,
    USER,
    USER_PROFILES,
    YEAR,
)
from recsys_core.report.sections.samples import samples
from recsys_core.report.view_models import Block, flat, profile_blocks

Tables = dict[str, pl.DataFrame]


@pytest.fixture
def tables() -> Tables:
    """Users u0-u9 with 0-9 ratings of items 0-19; two recommendations each; u3 has no profile."""
    kinds = {USER: pl.String, ITEM: pl.Int64, "liked_evidence": pl.List(pl.Int64)}
    train = [(f"u{u}", i, 1.0 + i % 5, None) for u in range(10) for i in range(u)]
    lists = [
        {USER: f"u{u}", ITEM: 19 - rank, "rank": rank, "score": 0.5, TITLE: "x", MODEL: "rules"}
        for u in range(10)
        for rank in (2, 1)
    ]
    profiles = [{USER: f"u{u}", MARKDOWN: f"## Overview\nu{u}"} for u in range(10) if u != 3]
    return {
        "recommendations": pl.DataFrame(lists, schema={**RECOMMENDATIONS, **kinds}),
        "profiles": pl.DataFrame(profiles, schema={**USER_PROFILES, USER: pl.String}),
        "train": pl.DataFrame(
            train, schema={**INTERACTIONS, USER: pl.String, ITEM: pl.Int64}, orient="row"
        ),
        "items": pl.DataFrame(
            [{ITEM: i, TITLE: f"T{i}", YEAR: 1990 + i} for i in range(20)],
            schema={**ITEMS, ITEM: pl.Int64},
        ),
    }  # fmt: skip


def test_users_are_spread_over_the_length_of_their_history(tables: Tables) -> None:
    found = samples(**tables, users=4)
    assert [(one.user, one.interactions) for one in found] == [
        ("u0", 0),
        ("u3", 3),
        ("u6", 6),
        ("u9", 9),
    ]


def test_what_is_shown_of_a_user(tables: Tables) -> None:
    new, _, without, *_, last = samples(**tables, users=10, history=4, listed=1)
    assert new.history == []
    assert new.profile == "## Overview\nu0"
    assert without.interactions == 2
    assert [row.rating for row in last.history] == [5.0, 4.0, 4.0, 1.0], "the best, then the worst"
    assert [(row.rank, row.year, row.explanation) for row in last.recommendations] == [
        (1, 2008, "")
    ]


def test_a_user_without_a_profile(tables: Tables) -> None:
    assert samples(**tables, users=10)[3].profile == ""


@pytest.mark.parametrize("users", [0, 1, 3, 99])
def test_never_more_users_than_there_are(tables: Tables, users: int) -> None:
    found = samples(**tables, users=users)
    assert len({one.user for one in found}) == len(found) == min(users, 10)


def test_nobody_to_show(tables: Tables) -> None:
    assert samples(**tables | {"recommendations": tables["recommendations"].clear()}) == []


def test_a_profile_becomes_plain_blocks() -> None:
    text = "# T\n## Overview:\nOne.\n\n## Attributes\n- **Genre**: A, B\n* plain\n**bold** text"
    assert profile_blocks(text) == [
        Block(heading="Overview", lines=[("", "One.")]),
        Block(heading="Attributes", lines=[("Genre", "A, B"), ("", "plain"), ("", "bold text")]),
    ]


@given(st.text(max_size=80))
def test_no_text_breaks_a_profile(text: str) -> None:
    assert all(block.lines for block in profile_blocks(text))


def test_parameters_are_flattened() -> None:
    assert flat({"a": {"b": 1, "c": {}}, "d": [1, 2], "e": 0.1, "f": None, "g": "x"}) == [
        ("a.b", "1"), ("a.c", "{}"), ("d", "[1, 2]"), ("e", "0.1"), ("f", "null"), ("g", "x"),
    ]  # fmt: skip
