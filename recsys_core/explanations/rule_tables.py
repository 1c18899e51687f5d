"""What explanations by rules are written from, and what they are."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LikedTitle:
    """A liked title that may be cited."""

    id: str
    title: str
    year: int | None
    keys: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class LikedCause:
    """A liked title as a cause of one recommendation: its id, influence and counts (`Cause`)."""

    id: str
    influence: int
    people: int
    people_both: int


@dataclass(frozen=True, kw_only=True)
class RecommendedTitle:
    """A recommended title that needs a reason (`ExplainedItem`)."""

    id: str
    title: str
    attributes: tuple[str, ...]
    causes: tuple[LikedCause, ...] = ()
    rests_on: str = ""
    people: int = 0
    place: int = 0
    """In the list, from 1."""


@dataclass(frozen=True, kw_only=True)
class RuleReason:
    """A sentence and its evidence: ids of liked titles, attributes of the recommended title."""

    sentence: str
    liked: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
