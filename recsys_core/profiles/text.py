"""Small text helpers of the profiles: cleaning, labels, sentences, lists in prose."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Final

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f]")
_TAG = re.compile(r"<[^<>]{0,200}>")
_URL = re.compile(r"\b(?:https?://|www\.)\S+")
_SENTENCE_END = re.compile(
    r"(?:(?<=[.!?…])|(?<=[.!?…][\"”’)]))\s+(?=[^a-z\s])|(?<=[。！？])"  # noqa: RUF001
)
_ABBREVIATION = re.compile(r"(?:\b[A-Z]|\b(?:Dr|Mr|Ms|Mrs|St|Jr|Sr|Lt|Sgt|Gen|Col|Rev|vs))\.$")
_OUTER_COMMA = re.compile(r",(?![^()]*\))")
_LABEL_EDGES: Final = ' *_,;:#•-`"'
_PLURALS: Final = frozenset({"men", "women", "children", "people", "police", "folk", "mice"})
READ_CHARS: Final = 2_000
"""Characters of a text that the rules read: the lead says what a work is about."""


def clean_text(text: str) -> str:
    """One line, single spaces, no control characters, no leading heading or list mark."""
    return " ".join(_CONTROL.sub(" ", text).split()).lstrip("#-*• ")


def clean_label(label: str) -> str:
    """A label that may stand in a comma-separated list: no commas, balanced parentheses."""
    label = label.replace(",", ";")
    if ("(" in label or ")" in label) and not _balanced(label):
        label = label.replace("(", " ").replace(")", " ")
    return clean_text(label).strip(_LABEL_EDGES)


def _balanced(label: str) -> bool:
    depth = 0
    for character in label:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return False
    return depth == 0


def split_labels(text: str) -> list[str]:
    """Labels of a list that is separated by commas; commas in parentheses do not separate."""
    return [label for part in _OUTER_COMMA.split(text) if (label := clean_label(part))]


def unique(labels: Iterable[str]) -> tuple[str, ...]:
    """The labels without empty ones and, whatever their case, without repetitions."""
    first: dict[str, str] = {}
    for label in labels:
        if label:
            first.setdefault(label.casefold(), label)
    return tuple(first.values())


def plain(text: str | None, limit: int = READ_CHARS) -> str:
    """The first `limit` characters of a text as plain prose: no HTML, no addresses."""
    # Cut first (with room for markup): a hostile text costs no more than a long one.
    head = html.unescape((text or "")[: 2 * limit])
    return cut(clean_text(_URL.sub(" ", _TAG.sub(" ", head))), limit)


def cut(text: str, limit: int) -> str:
    """`text`, cut between words (or anywhere, in scripts without spaces) to `limit` characters."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    space = head.rfind(" ", limit // 2)
    return (head if space < 0 else head[:space]).rstrip(" ,;:-") + "…"


def sentences(text: str) -> list[str]:
    """Sentences of one line of prose."""
    found: list[str] = []
    for part in _SENTENCE_END.split(text):
        if found and _ABBREVIATION.search(found[-1]):
            found[-1] += f" {part}"
        elif part.strip():
            found.append(part.strip())
    return found


def lead(text: str, limit: int) -> str:
    """As many whole leading sentences as fit into `limit` characters; at least a part of one."""
    taken = ""
    for sentence in sentences(text):
        longer = f"{taken} {sentence}".strip()
        if len(longer) > limit:
            break
        taken = longer
    return taken or cut(text, limit)


def enumerate_words(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def is_plural(word: str) -> bool:
    """Whether a word looks like a plural: `girls`, `men`, but not `boss` or `crisis`."""
    word = word.casefold()
    return word in _PLURALS or (word.endswith("s") and not word.endswith(("ss", "us", "is")))


def with_article(phrase: str) -> str:
    """`phrase` with its indefinite article, if it is a singular."""
    if is_plural(phrase.rpartition(" ")[2]):
        return phrase
    start = phrase.casefold()
    vowel = start[:1] in tuple("aeiou") and not start.startswith(("uni", "one", "use", "eu"))
    return f"{'an' if vowel else 'a'} {phrase}"
