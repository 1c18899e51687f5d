"""Writes an item's profile without a language model (the rule of `ITEM_PROFILE`).

Deterministic, from this item's own metadata and the static lexicon only, so that a change of one
item changes one profile.
"""

from collections.abc import Sequence
from typing import Final

from recsys_core.profiles.inputs import ItemProfileInput
from recsys_core.profiles.rules.keyphrases import KeyPhrases, key_phrases
from recsys_core.profiles.rules.lexicon import lexicon
from recsys_core.profiles.rules.sentences import (
    about,
    decade,
    genre_words,
    in_prose,
    themes_among,
    title_case,
)
from recsys_core.profiles.schema import (
    LABEL_CHARS,
    MAX_GENRES,
    MAX_TAGS,
    OVERVIEW_CHARS,
    Profile,
)
from recsys_core.profiles.text import (
    clean_label,
    cut,
    enumerate_words,
    lead,
    plain,
    split_labels,
    unique,
    with_article,
)

_MAX_THEMES: Final = 8
_MAX_MOODS: Final = 3
_MAX_DISLIKES: Final = 6
_TITLE_CHARS: Final = 120
_EXTRA_LABEL_CHARS: Final = 40


def write_item_profile(item: ItemProfileInput) -> Profile:
    """The profile of `item`, by rules (paper, section 2.1.1).

    Themes, moods, characters, key phrases and the decade become tags; the lead of the overview
    becomes the overview. An item without an overview gets one from title, year and genres.
    """
    title = plain(item.title, _TITLE_CHARS) or "This title"
    genres = tuple(unique(map(_label, item.genres)))[:MAX_GENRES]
    text = plain(item.overview)
    words, facts = _extra(item)
    known = lexicon()
    prose = f"{text} {words}".strip()
    themes = _themes(title, genres, prose, facts)
    found = key_phrases(prose)
    moods = known.implied(genres)[:_MAX_MOODS]
    tags = _tags(themes[:_MAX_THEMES], moods, item.year, found, facts)
    return Profile(
        overview=lead(text, OVERVIEW_CHARS) or _from_metadata(title, genres, item.year),
        genres=genres,
        tags=_without(tags, genres)[:MAX_TAGS],
        description=_description(genres, item.year, themes, moods, found),
        dislikes=_without(known.avoided(genres, themes), tags)[:_MAX_DISLIKES],
    )


def _themes(title: str, genres: Sequence[str], prose: str, facts: Sequence[str]) -> list[str]:
    """Themes that prose or labels speak of, of an item that may tell a story.

    A title alone is no evidence (nail polish by China Glaze, Twelve Monkeys), and the words of the
    lexicon mean other things where no story is told ("a gentle therapy for damaged hair").
    """
    known = lexicon()
    if not known.may_tell_a_story(genres):
        return []
    told = f"{title}. {prose}" if prose else ""
    return known.themes(f"{told} {' | '.join(facts)}")


def _label(text: str) -> str:
    return clean_label(cut(plain(text, LABEL_CHARS), LABEL_CHARS))


def _extra(item: ItemProfileInput) -> tuple[str, list[str]]:
    """Further columns of prose as one text, and the first short labels of each column of labels."""
    prose = [plain(item.extra[name]) for name in item.prose]
    labels: list[str] = []
    for name in item.labels:
        parts = [
            part for piece in plain(item.extra[name]).split("|") for part in split_labels(piece)
        ]
        labels += [part for part in parts if len(part) <= _EXTRA_LABEL_CHARS][:6]
    return " ".join(prose), labels


def _tags(
    themes: Sequence[str],
    moods: Sequence[str],
    year: int | None,
    found: KeyPhrases,
    facts: Sequence[str],
) -> tuple[str, ...]:
    phrases = map(title_case, (*found.characters[:3], *found.phrases[:4], *facts))
    period = [label] if (label := decade(year)) else []
    return unique(map(clean_label, (*themes, *moods, *period, *phrases, *found.names[:2])))


def _without(labels: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    taken = {label.casefold() for label in others}
    return tuple(label for label in labels if label.casefold() not in taken)


def _kind(genres: Sequence[str], *, period: str | None = None) -> str:
    """`a 1990s comedy and crime title`."""
    words = [period or "", genre_words(genres, 4), "title"]
    return with_article(" ".join(word for word in words if word))


def _from_metadata(title: str, genres: Sequence[str], year: int | None) -> str:
    return f"{title} is {_kind(genres)}{f' from {year}' if year else ''}."


def _description(
    genres: Sequence[str],
    year: int | None,
    themes: Sequence[str],
    moods: Sequence[str],
    found: KeyPhrases,
) -> str:
    kind = _kind(genres, period=decade(year))
    subject = about(themes_among(_without(themes, genres))[:5])
    written = [f"{kind[:1].upper()}{kind[1:]}{f' about {subject}' if subject else ''}."]
    if found.characters:
        people = enumerate_words([with_article(name) for name in found.characters[:3]])
        written.append(f"Among its characters: {people}.")
    if found.phrases:
        written.append(f"Key elements: {enumerate_words(found.phrases[:4])}.")
    if moods:
        written.append(f"It is {enumerate_words([in_prose(mood) for mood in moods])} in tone.")
    return " ".join(written)
