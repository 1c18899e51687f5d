"""Titles as data sets write them, compared with titles as TMDB writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.datasets.tmdb.matching import (
    alternatives,
    best_match,
    normalised_title,
    title_and_year,
)
from recsys_core.datasets.tmdb.schemas import Candidate


def candidate(number: int, title: str, released: str | None, popularity: float = 1.0, **more):
    return Candidate(id=number, title=title, release_date=released, popularity=popularity, **more)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("City of Lost Children, The", "The City of Lost Children"),
        ("Postino, Il", "Il postino"),
        ("Tin Drum, The", "Tin Drum"),
        ("Blechtrommel, Die", "Die Blechtrommel"),
        ("Les Misérables", "Miserables"),
        ("L'Enfer", "L\u2019enfer"),
        ("Oeil de Vichy, L'", "L'Œil de Vichy"),
        ("Love & Death on Long Island", "Love and Death on Long Island"),
        ("Schindler's List", "Schindlers List"),
        ("WALL·E", "wall e"),
        ("Søndagsengler", "Sondagsengler"),
        ("Star Trek: The Wrath of Khan", "Star Trek - The Wrath of Khan"),
        ("  Four   Rooms ", "four rooms"),
        ("千と千尋の神隠し", "千と千尋の神隠し"),
    ],
)
def test_the_same_title(one, other) -> None:
    assert normalised_title(one) == normalised_title(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Die Hard", "Hard"), ("I, Robot", "Robot"), ("Rocky II", "Rocky"), ("Seven", "Se7en"),
        ("???", "!!!"), ("The", "A"), ("Batman", "Batman Returns"),
    ],
)  # fmt: skip
def test_another_title(one, other) -> None:
    assert normalised_title(one) != normalised_title(other)


@given(st.text(min_size=1).filter(str.strip))
def test_any_title_has_a_form_and_a_name_to_search_for(title) -> None:
    assert normalised_title(title)
    names = alternatives(title)
    assert names
    assert all(name.strip() for name in names)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Heat", ["Heat"]),
        ("Seven (a.k.a. Se7en)", ["Seven", "Se7en", "Seven (a.k.a. Se7en)"]),
        (
            "Tin Drum, The (Blechtrommel, Die)",
            ["The Tin Drum", "Die Blechtrommel", "Tin Drum, The (Blechtrommel, Die)"],
        ),
        (
            "Eye of Vichy, The (Oeil de Vichy, L')",
            ["The Eye of Vichy", "L'Oeil de Vichy", "Eye of Vichy, The (Oeil de Vichy, L')"],
        ),
        (
            "Strike! (aka All I Wanna Do, The Hairy Bird)",
            [
                "Strike!", "All I Wanna Do, The Hairy Bird", "All I Wanna Do", "The Hairy Bird",
                "Strike! (aka All I Wanna Do, The Hairy Bird)",
            ],
        ),
        ("A (B) (C)", ["A", "B", "C", "A (B) (C)"]),
        ("(500) Days of Summer", ["(500) Days of Summer"]),
        ("(Untitled)", ["(Untitled)"]),
        ("Heat ()", ["Heat"]),
    ],
)  # fmt: skip
def test_the_names_in_a_title(title, names) -> None:
    assert alternatives(title) == names


@pytest.mark.parametrize(
    ("title", "year", "expected"),
    [
        ("Heat (1995)", None, ("Heat", 1995)),
        ("Heat (1995)", 1996, ("Heat", 1996)),
        ("Nuits, Les (1995) (V)", None, ("Nuits, Les", 1995)),
        ("1984", None, ("1984", None)),
        ("(1984)", 1984, ("(1984)", 1984)),
        ("2001: A Space Odyssey", 1968, ("2001: A Space Odyssey", 1968)),
    ],
)
def test_a_year_in_the_title(title, year, expected) -> None:
    assert title_and_year(title, year) == expected


RESULTS = [
    candidate(1, "Heat", "1986-11-13", 9.0),
    candidate(2, "Heat", "1995-12-15", 1.5),
    candidate(3, "Heat", "1995-01-01", 5.0),
    candidate(4, "Heat", "1996-03-01", 50.0),
    candidate(5, "The Heat", "2013-06-27", 99.0),
    candidate(6, "Heat", "", 100.0),
    candidate(7, "City Heat", "1984-12-05", 10.0),
    candidate(8, "La Fièvre", "1999-01-01", 1.0, original_title="Hitze, Die"),
]


@pytest.mark.parametrize(
    ("title", "year", "found"),
    [
        ("Heat", 1995, 3),  # the more popular one of the year, not the more popular neighbour
        ("Heat", 1997, 4),
        ("Heat", 1994, 3),
        ("Heat", 1990, None),
        ("Heat", 2013, 5),  # the article does not count
        ("Heat", None, 6),  # no year: the most popular
        ("Die Hitze", 1998, 8),  # by the original title
        ("City Heat (Something else)", 1984, 7),
        ("Unknown (City Heat)", 1985, 7),
        ("City", 1984, None),
    ],
)
def test_the_match_rule(title, year, found) -> None:
    match = best_match(RESULTS, alternatives(title), year)
    assert (match.id if match else None) == found


def test_the_match_does_not_depend_on_the_order_of_results() -> None:
    twins = [candidate(n, "Twin", "2000-01-01", 2.0) for n in (8, 3, 5)]
    assert best_match(twins, ["Twin"], 2000) == best_match(twins[::-1], ["Twin"], 2000) == twins[1]


def test_films_without_titles_or_numbers_match_nothing() -> None:
    bare = Candidate.model_validate({"id": 1, "popularity": None})
    assert best_match([bare], ["Heat"], None) is None
