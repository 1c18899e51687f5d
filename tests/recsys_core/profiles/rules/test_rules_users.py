from hypothesis import given
from hypothesis import strategies as st

from recsys_core.profiles.inputs import RatedItem, UserTurnInput
from recsys_core.profiles.rules.users import NEUTRAL, refine_user_profile
from recsys_core.profiles.schema import Profile


def shown(genres: str, tags: str) -> RatedItem:
    return RatedItem(title="T", genres=tuple(genres.split()), tags=tuple(tags.split("|")))


CRIME = shown("Crime Thriller", "Heist|Revenge|1990s")
DRAMA = shown("Crime Drama", "Revenge|Family|1990s")
LOVE = shown("Romance", "Love|Marriage|1990s")


def test_shared_attributes_rise() -> None:
    profile = refine_user_profile(UserTurnInput(liked=(CRIME, DRAMA)))
    assert profile.genres == ("Crime", "Thriller", "Drama")
    assert profile.tags == ("Revenge", "1990s", "Heist", "Family")
    assert profile.overview == (
        "This user enjoys crime, thriller and drama titles, above all those about revenge,"
        " a heist and family."
    )
    assert profile.dislikes == ()


def test_a_later_turn_revises_the_profile() -> None:
    first = refine_user_profile(UserTurnInput(liked=(CRIME, DRAMA)))
    second = refine_user_profile(UserTurnInput(previous=first, liked=(LOVE, LOVE, DRAMA)))
    assert second.genres == ("Crime", "Thriller", "Drama", "Romance")
    assert {"Revenge", "Love"} <= set(second.tags)


def test_dislikes_are_what_is_not_liked_more() -> None:
    first = refine_user_profile(UserTurnInput(liked=(CRIME, CRIME, DRAMA)))
    second = refine_user_profile(UserTurnInput(previous=first, disliked=(LOVE, LOVE, DRAMA)))
    assert second.dislikes[:3] == ("Romance", "Love", "Marriage")
    assert "Crime" in second.genres
    assert "1990s" not in second.dislikes
    assert "They tend to avoid romance, love and marriage" in second.description


def test_what_is_disliked_more_leaves_the_likes() -> None:
    first = refine_user_profile(UserTurnInput(liked=(CRIME, DRAMA)))
    second = refine_user_profile(UserTurnInput(previous=first, disliked=(DRAMA,) * 5))
    assert "Drama" in second.dislikes
    assert "Drama" not in second.genres
    third = refine_user_profile(UserTurnInput(previous=second, liked=(DRAMA,) * 5))
    assert "Drama" in third.genres
    assert "Drama" not in third.dislikes


def test_no_judgement_on_people_or_places() -> None:
    item = shown("Drama", "LGBTQ+|Immigration|France|Heist|Humorous|1990s")
    assert refine_user_profile(UserTurnInput(disliked=(item,) * 3)).dislikes == ("Drama", "Heist")


def test_only_dislikes_say_so() -> None:
    profile = refine_user_profile(UserTurnInput(disliked=(LOVE,)))
    assert profile.genres == ()
    assert "Romance" in profile.dislikes
    assert "not known yet" in profile.overview


def test_nothing_known_is_neutral() -> None:
    assert refine_user_profile(UserTurnInput()) == refine_user_profile(
        UserTurnInput(liked=(RatedItem(title="T"),))
    )
    assert NEUTRAL.genres == NEUTRAL.dislikes == ()


LABELS = st.lists(st.sampled_from(["Drama", "drama", "War", "Love", "A b", "1990s"]), max_size=4)
BATCH = st.lists(
    st.builds(RatedItem, title=st.just("T"), genres=LABELS.map(tuple), tags=LABELS.map(tuple)),
    max_size=5,
).map(tuple)


@given(st.lists(st.builds(UserTurnInput, liked=BATCH, disliked=BATCH), min_size=1, max_size=4))
def test_no_label_is_on_both_sides(turns: list[UserTurnInput]) -> None:
    profile: Profile | None = None
    for turn in turns:
        profile = refine_user_profile(turn.model_copy(update={"previous": profile}))
        against = {label.casefold() for label in profile.dislikes}
        assert against.isdisjoint(label.casefold() for label in (*profile.genres, *profile.tags))
        assert Profile.from_markdown(profile.to_markdown()) == profile
