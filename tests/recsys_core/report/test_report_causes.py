"""The bar of causes, and what the page says of a title taken away."""

import polars as pl
import pytest

from recsys_core import columns as c
from recsys_core.explanations.attribution.kinds import (
    DISLIKED,
    JUDGEMENT,
    LIKED,
    OTHERS,
    POPULARITY,
    PROFILE,
    RATINGS,
)
from recsys_core.report.sections.causes import _GROUPS, ListCauses

ROWS = [
    (1, 10, 7, LIKED, 0.4, 3, 9), (1, 10, 8, LIKED, 0.1, 3, None), (1, 10, 9, DISLIKED, 0.05, 3, 1),
    (1, 10, None, POPULARITY, 0.2, 3, None), (1, 10, None, PROFILE, 0.001, 3, None),
    (1, 10, None, JUDGEMENT, 0.1, 3, None), (1, 11, 7, LIKED, 1.0, 1, 1),
]  # fmt: skip
TABLE = pl.DataFrame(
    [
        {c.USER: user, c.ITEM: item, c.CAUSE: cause, c.KIND: kind, c.SHARE: share, c.PLACE: place,
         c.PLACE_WITHOUT: without}
        for user, item, cause, kind, share, place, without in ROWS
    ],
    schema={**c.ATTRIBUTIONS, c.USER: pl.Int64, c.ITEM: pl.Int64, c.CAUSE: pl.Int64},
)  # fmt: skip
CAUSES = ListCauses(TABLE)


def test_every_kind_of_cause_has_its_part_of_the_bar() -> None:
    kinds = [kind for group in _GROUPS.values() for kind in group]
    assert sorted(kinds) == sorted({*RATINGS, *OTHERS, JUDGEMENT})


def test_the_bar_is_a_whole_and_what_is_not_listed_is_other_ratings() -> None:
    found = {part.name: part.percent for part in CAUSES.parts(1, 10)}
    assert found == pytest.approx({
        "liked titles": 50, "other ratings": 5 + 100 - 85.1, "popularity": 20,
        "the model's judgement": 10,
    }, abs=0.1)  # fmt: skip
    assert CAUSES.parts(1, 12) == CAUSES.parts(2, 10) == []


def test_what_would_be_without_a_title_is_said_where_it_would_fall() -> None:
    titles = {7: "Alien"}
    said = CAUSES.told(1, 10, 3, [7, 8], titles)
    assert said == ["Without “Alien” it would stand at place 9."]
    assert CAUSES.told(1, 11, 1, [7], titles) == [], "it would stay where it is"


def test_a_judgement_says_where_the_title_stood_before() -> None:
    said = CAUSES.told(1, 10, 2, [], {})
    assert said == ["By the model's score it stood at place 3; judged, at 2."]
