import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.errors import DataError
from recsys_core.profiles.schema import MAX_TAGS, OVERVIEW_CHARS, Profile

TEXT = st.text(min_size=1, max_size=80)
LABELS = st.lists(st.text(max_size=20), max_size=6)


def is_valid(profile: dict[str, object]) -> bool:
    try:
        Profile.model_validate(profile)
    except ValidationError:
        return False
    return True


PROFILES = st.fixed_dictionaries(
    {"overview": TEXT, "genres": LABELS, "tags": LABELS, "description": TEXT, "dislikes": LABELS}
).filter(is_valid)


@given(PROFILES, st.none() | st.text(max_size=40))
def test_markdown_round_trips(fields: dict[str, object], title: str | None) -> None:
    profile = Profile.model_validate(fields)
    assert Profile.from_markdown(profile.to_markdown(title)) == profile


def test_a_model_is_told_the_bounds() -> None:
    schema = Profile.model_json_schema()["properties"]
    assert schema["overview"]["maxLength"] == OVERVIEW_CHARS
    assert schema["tags"]["maxItems"] == MAX_TAGS
    assert schema["tags"]["items"]["maxLength"] == 60


@given(PROFILES)
def test_cleaning_is_idempotent(fields: dict[str, object]) -> None:
    profile = Profile.model_validate(fields)
    assert Profile.model_validate(profile.model_dump()) == profile


def test_markdown_has_the_form_of_the_paper() -> None:
    profile = Profile(
        overview="A toy's tale.",
        genres=("Animation", "Comedy"),
        tags=("Friendship", "Toys"),
        description="Toys come to life.",
        dislikes=("Horror",),
    )
    assert profile.to_markdown("Toy Story") == (
        "# Toy Story\n\n## Overview\nA toy's tale.\n\n## Attributes\n"
        "- **Genre**: Animation, Comedy\n- **Tags**: Friendship, Toys\n\n"
        "## Description\nToys come to life.\n\n## Dislikes\nHorror"
    )


def test_published_forms_are_read() -> None:
    text = (
        "# T\n\n## Overview\n One. \n\nTwo. \n## Attributes\n- **Genre**: Drama, War  \n"
        "* **Tags:** Love (a, b), love (A, B), 1990s\n## Description\nD.\n"
        "## Dislikes:\n- Horror  \n- Satire (when tied to war)\n"
    )
    profile = Profile.from_markdown(text)
    assert profile.overview == "One. Two."
    assert profile.genres == ("Drama", "War")
    assert profile.tags == ("Love (a; b)", "1990s")
    assert profile.dislikes == ("Horror", "Satire (when tied to war)")


def test_labels_are_cleaned() -> None:
    profile = Profile(
        overview="# o", description="d", tags=(" - Love, War ", "LOVE", "a) b(", "**x**", ",")
    )
    assert profile.overview == "o"
    assert profile.tags == ("Love", "War", "a b", "x")


@pytest.mark.parametrize("section", ["Overview", "Attributes", "Description"])
def test_a_missing_section_is_named(section: str) -> None:
    text = Profile(overview="o", description="d").to_markdown().replace(f"## {section}", "## Else")
    with pytest.raises(DataError, match=f"no {section.lower()}"):
        Profile.from_markdown(text)


@pytest.mark.parametrize(
    "bad",
    [
        {"overview": "o" * (OVERVIEW_CHARS + 1)},
        {"overview": " \n "},
        {"tags": [str(number) for number in range(MAX_TAGS + 1)]},
        {"genres": ["g" * 61]},
        {"dislikes": "Horror"},
        {"tags": [1]},
        {"unknown": "x"},
    ],
)
def test_bounds_hold(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Profile.model_validate({"overview": "o", "description": "d", **bad})


def test_markdown_out_of_bounds_says_which_field() -> None:
    text = Profile(overview="o", description="d").to_markdown()
    text = text.replace("\nd\n", f"\n{'d' * 1300}\n")
    with pytest.raises(DataError, match="description: String should have at most 1200"):
        Profile.from_markdown(text)
