"""Sentence templates of the rule-based explanations, several forms of each."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from recsys_core.explanations.attribution.kinds import ATTRIBUTES, PROFILE, TIME
from recsys_core.explanations.named_attributes import NamedAttributes, joined, with_article
from recsys_core.explanations.vocabulary import LIKED, Verb

_TITLE_CHARS: Final = 80
_ARTICLE_LAST = re.compile(r"^(.+), (The|A|An)$")


@lru_cache(maxsize=65_536)
def shown_title(title: str) -> str:
    """A title in quotation marks, its article in front: “The Godfather”."""
    title = _ARTICLE_LAST.sub(r"\2 \1", " ".join(title.split()))
    if len(title) > _TITLE_CHARS:
        title = title[: _TITLE_CHARS - 1].rstrip() + "…"
    return f"“{title}”"


def capitalised(text: str) -> str:
    """`text` with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def liked_sentences(titles: Sequence[str], named: NamedAttributes, verb: Verb = LIKED) -> list[str]:
    """Forms of a reason that cites one or two liked titles and names what they share with it."""
    if named.noun and named.theme:
        return _genre_and_theme(titles, named, verb.past)
    if named.noun:
        return _genre_only(titles, named, verb.past)
    return _theme_only(titles, named, verb.past)


def _genre_and_theme(titles: Sequence[str], named: NamedAttributes, did: str) -> list[str]:
    liked, noun, theme = joined(titles), named.noun, named.theme
    return [
        f"Because you {did} {liked}: another {noun} with {named.a_theme}.",
        f"Like {liked}, {_which(titles, did)}, this is {with_article(noun)} with {named.a_theme}.",
        f"You {did} {liked}; this {noun} shares {_their(titles)} {theme}.",
        f"{capitalised(with_article(noun))} that shares the {theme} with {liked},"
        f" {_which(titles, did)}.",
    ]


def _genre_only(titles: Sequence[str], named: NamedAttributes, did: str) -> list[str]:
    liked, noun = joined(titles), with_article(named.noun)
    return [
        f"Because you {did} {liked}: another {named.noun}.",
        f"{capitalised(noun)} like {liked}, {_which(titles, did)}.",
        f"You {did} {liked}; this is {noun} too.",
        f"Like {liked}, {_which(titles, did)}, it is {noun}.",
    ]


def _theme_only(titles: Sequence[str], named: NamedAttributes, did: str) -> list[str]:
    liked, theme = joined(titles), named.theme
    return [
        f"You {did} {liked}; this has {_their(titles)} {theme}.",
        f"It shares the {theme} with {liked}, {_which(titles, did)}.",
        f"Because you {did} {liked}: it has {named.a_theme}, too.",
        f"What it has in common with {liked}, {_which(titles, did)}: the {theme}.",
    ] if not named.facts else [
        f"You {did} {liked}; this has {named.a_theme}.",
        f"It shares the {theme} with {liked}, {_which(titles, did)}.",
        f"Because you {did} {liked}: {named.a_theme}.",
        f"What it has in common with {liked}, {_which(titles, did)}: the {theme}.",
    ]  # fmt: skip


def _which(titles: Sequence[str], did: str) -> str:
    return f"both of which you {did}" if len(titles) > 1 else f"which you {did}"


def _their(titles: Sequence[str]) -> str:
    return "their" if len(titles) > 1 else "its"


def taste_sentences(named: NamedAttributes) -> list[str]:
    """Forms of a reason that rests on the user's profile alone."""
    noun = named.noun and with_article(named.noun)
    what = " with ".join(part for part in (noun or "something", named.a_theme) if part)
    return [
        f"It fits the taste in your profile: {what}.",
        f"Close to what your profile says you enjoy: {what}.",
    ]


def collaborative_sentences(title: str, people: int, both: int, verb: Verb = LIKED) -> list[str]:
    """Forms of a reason of counted people, where a cause shares nothing that can be said."""
    did = verb.past
    return [
        f"Of the {people} people who {did} {title}, as you did, {both} also {did} this.",
        f"You {did} {title}; {both} of the {people} people who did so {did} this, too.",
        f"{both} of the {people} people who, as you did, {did} {title} {did} this as well.",
        f"{capitalised(verb.participle)} by {both} of the {people} people who, like you, {did}"
        f" {title}.",
    ]


def genre_and_people_sentences(
    title: str, named: NamedAttributes, people: int, both: int, verb: Verb = LIKED
) -> list[str]:
    """Forms of a reason of one shared genre, which alone says little, and of counted people."""
    noun, did = named.noun, verb.past
    return [
        f"You {did} {title}; this {noun} too was {verb.participle} by {both} of the {people} people"
        " who did.",
        f"{capitalised(with_article(noun))} that {both} of the {people} people who {did} {title},"
        f" as you did, also {did}.",
        f"Like {title}, which you {did}, {with_article(noun)}: {both} of {people} people who {did}"
        f" that one {did} this.",
        f"Another {noun} beside {title}, which you {did}: {both} of the {people} people who did so"
        f" {did} it.",
    ]


def with_another_cause(sentence: str, title: str, verb: Verb = LIKED) -> list[str]:
    """The sentence with a second liked title that counts for much, in several forms."""
    forms = [
        f"; {title}, which you {verb.past} too, also counts for it.",
        f"; your {verb.noun} {title} speaks for it as well.",
        f"; that you {verb.past} {title} adds to it.",
    ]
    if "; " in sentence:  # a sentence of three parts is hard to follow
        forms = [
            f" ({title}, which you {verb.past} too, also counts).",
            f" (and your {verb.noun} {title} speaks for it).",
            f" (that you {verb.past} {title} adds to it).",
        ]
    return [sentence.removesuffix(".") + one for one in forms]


def with_shared_cause(
    sentence: str, title: str, named: NamedAttributes, verb: Verb = LIKED
) -> list[str]:
    """The sentence with a second liked title and what that one shares, in several forms."""
    did, noun = verb.past, named.noun and with_article(named.noun)
    if noun:
        with_theme = f" with {named.a_theme}" if named.theme else ""
        forms = [
            f"like {title}, which you {did} too, it is {noun}{with_theme}",
            f"{title}, which you {did} as well, is {noun}{with_theme}, too",
        ]
    else:
        forms = [
            f"it shares the {named.theme} with {title}, which you {did} too",
            f"like {title}, which you {did} as well, it has {named.a_theme}",
        ]
    ends = [f" ({one})." if "; " in sentence else f"; {one}." for one in forms]
    return [sentence.removesuffix(".") + one for one in ends]


def strongest_sentences(title: str, verb: Verb = LIKED) -> list[str]:
    """Forms of a reason that says which liked title counted for most, and nothing else."""
    did = verb.past
    return [
        f"Of all you {did}, {title} counts for most here.",
        f"You {did} {title}, and that counts for more here than any other title you {did}.",
        f"What brought it here most of all that you {did}: {title}.",
        f"More than anything else you {did}, {title} speaks for this.",
        f"This follows most of all from {title}, which you {did}.",
        f"The strongest reason for it: you {did} {title}.",
    ]


def rests_on_sentences(
    cause: str, people: int, *, has_liked: bool, verb: Verb = LIKED
) -> list[str]:
    """What to say where no liked title is a cause: the truth, in one form or more.

    Args:
        cause: the largest cause (`attribution.kinds`); empty where none is known.
        people: how many liked the title; 0 for too few to speak of.
        has_liked: whether the user is known to like any title.
        verb: what people did with titles.
    """
    did = verb.past
    if not has_liked:
        known = (
            f"{people} people {did} this" if people else f"other people's {verb.given} brought this"
        )
        end = "" if people else " here"
        return [
            f"We know no title that you {did} yet; {known}{end}.",
            f"With no title that you {did} to go by: {known}{end}.",
        ]
    if cause == PROFILE:
        return ["It fits what your profile says of you as a whole."]
    if cause == ATTRIBUTES:
        return [f"It is here for what is known of you beside your {verb.given}."]
    if cause == TIME:
        return ["It is here because it was popular at the time when you were active."]
    if people:
        return [
            f"It is here for being popular: {people} people {did} it.",
            f"{people} people {did} it, which speaks for it here.",
        ]
    return [f"It is here for what other people's {verb.given} say of it."]
