"""Writes and refines a user's profile without a language model (the rule of `USER_PROFILE`).

Only the profile is carried from turn to turn, as for a language model, so its lists are ordered by
weight: a label's rank in the previous profile counts as a number of items (4 for the first, 1 for
the last), to which the items of the new batch are added.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from recsys_core.profiles.inputs import RatedItem, UserTurnInput
from recsys_core.profiles.rules.lexicon import genre_key, lexicon
from recsys_core.profiles.rules.sentences import DECADE, about, genre_words, in_prose, themes_among
from recsys_core.profiles.schema import DESCRIPTION_CHARS, MAX_TAGS, Profile
from recsys_core.profiles.text import enumerate_words, lead

_STRONGEST: Final = 4.0
"""How many items the first label of the previous profile counts for; the last counts for one."""
_MAX_GENRES: Final = 8
_MAX_DISLIKES: Final = 12
_FEW: Final = 5

Weights = dict[str, float]

NEUTRAL: Final = Profile(
    overview="Nothing is known yet about what this user enjoys.",
    description="No rating says what this user likes or dislikes, so any kind of title may suit.",
)
"""The profile of a user without any evidence."""


def refine_user_profile(turn: UserTurnInput) -> Profile:
    """The revised profile after one more batch of rated items (paper, section 2.1.2).

    Genres and tags that several liked items share rise. A disliked item's attributes become
    dislikes unless they are liked at least as much; no label is on both sides.
    """
    before = turn.previous or NEUTRAL
    genres = _weigh(before.genres, (item.genres for item in turn.liked))
    tags = _weigh(before.tags, (item.tags for item in turn.liked))
    avoided = _weigh(before.dislikes, map(_tellable, turn.disliked))
    dislikes = _dislikes(avoided, genres | tags, before.dislikes)
    against = {name.casefold() for name in dislikes}
    return _written(
        [name for name in _ordered(genres) if name.casefold() not in against][:_MAX_GENRES],
        [name for name in _ordered(tags) if name.casefold() not in against][:MAX_TAGS],
        dislikes,
    )


def _tellable(item: RatedItem) -> list[str]:
    """What may be disliked of an item: no decade, no place or people, no mood its genre implies."""
    known = lexicon()
    never = known.all_moods | known.never_disliked
    labels = (*item.genres, *item.tags)
    return [label for label in labels if label not in never and not DECADE.fullmatch(label)]


def _dislikes(avoided: Weights, liked: Weights, before: Sequence[str]) -> list[str]:
    """What is avoided more than it is liked.

    One disliked item says little about each of its themes: what only one has is taken to fill
    a short list, genres before all else.
    """
    known = lexicon()
    names = [name for name in _ordered(avoided) if avoided[name] > _weight(liked, name)]
    sure = [
        name
        for name in names
        if avoided[name] >= 2 or name in before or genre_key(name) in known.moods
    ]
    single = [name for name in names if name not in sure and name in known.order]
    return [*sure, *single[: max(_FEW - len(sure), 0)]][:_MAX_DISLIKES]


def _weigh(previous: Sequence[str], batch: Iterable[Iterable[str]]) -> Weights:
    steps = max(len(previous) - 1, 1)
    weights = {
        label: 1 + (_STRONGEST - 1) * (1 - place / steps) for place, label in enumerate(previous)
    }
    spelling = {label.casefold(): label for label in weights}
    for labels in batch:
        for label in dict.fromkeys(labels):
            known = spelling.setdefault(label.casefold(), label)
            weights[known] = weights.get(known, 0.0) + 1
    return weights


def _weight(weights: Mapping[str, float], name: str) -> float:
    key = name.casefold()
    return max((value for label, value in weights.items() if label.casefold() == key), default=0)


def _ordered(weights: Weights) -> list[str]:
    """The strongest first; of equal ones themes and genres, then as they were first seen."""
    known = lexicon()

    def is_free(label: str) -> bool:
        return label not in known.order and genre_key(label) not in known.moods

    return sorted(weights, key=lambda label: (-weights[label], is_free(label)))


def _written(genres: list[str], tags: list[str], dislikes: list[str]) -> Profile:
    return Profile(
        overview=_overview(genres, tags, dislikes),
        genres=tuple(genres),
        tags=tuple(tags),
        description=_description(genres, tags, dislikes),
        dislikes=tuple(dislikes),
    )


def _overview(genres: list[str], tags: list[str], dislikes: list[str]) -> str:
    kinds, themes = genre_words(genres, 3), about(themes_among(tags)[:4])
    if kinds:
        above_all = f", above all those about {themes}" if themes else ""
        return f"This user enjoys {kinds} titles{above_all}."
    if themes:
        return f"This user enjoys titles about {themes}."
    known = "; so far it is only known what they rated low" if dislikes else ""
    return f"What this user enjoys is not known yet{known}."


def _description(genres: list[str], tags: list[str], dislikes: list[str]) -> str:
    feel = lexicon().all_moods
    tones = enumerate_words([in_prose(tag) for tag in tags if tag in feel][:3])
    decades = enumerate_words([f"the {tag}" for tag in tags if DECADE.fullmatch(tag)][:3])
    further = about(themes_among(tags)[4:10])
    avoided = enumerate_words([in_prose(label) for label in dislikes[:5]])
    known = " ".join(
        sentence
        for given, sentence in (
            (tones, f"They favour titles that are {tones} in tone."),
            (decades, f"Many of their favourites come from {decades}."),
            (further, f"Recurring elements are {further}."),
            (genres[3:], f"They also like {genre_words(genres[3:], 4)}."),
            (avoided, f"They tend to avoid {avoided}."),
        )
        if given
    )
    if known:
        return lead(known, DESCRIPTION_CHARS)
    return "Little more is known yet." if genres or tags else NEUTRAL.description
