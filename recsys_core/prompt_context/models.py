"""What prompts about a user and candidate items show, as frozen models.

Items are identified by their id, never by their title: equal titles exist. Every text is cut to
a bound here, so that one endless overview can neither fill a context window nor cost a fortune.
"""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel, ConfigDict

TITLE_CHARS: Final = 120
DESCRIPTION_CHARS: Final = 300
MAX_LABELS: Final = 12
"""Genres, and tags, shown per item."""
MAX_RECENT: Final = 10
"""Recent interactions shown per user."""


class PromptModel(BaseModel):
    """Base of everything that a prompt is rendered from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Candidate(PromptModel):
    """An item that is to be judged or explained."""

    id: str
    """The data set's item id as text."""
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    """Genres of the metadata; of the profile where the metadata have none."""
    tags: tuple[str, ...] = ()
    """Tags of the item's profile, the strongest first."""
    description: str = ""
    """The profile's description, cut to a few lines."""
    similarity: float | None = None
    """Cosine of the user's and the item's profile embedding, for the rules; never in a prompt."""


class Taste(PromptModel):
    """The user's profile."""

    overview: str = ""
    genres: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    description: str = ""
    dislikes: tuple[str, ...] = ()


class RecentItem(PromptModel):
    """One of the user's latest interactions in the training split."""

    title: str
    year: int | None = None
    rating: float | None = None
    """None where there are no ratings, only interactions."""


class CandidatesInput(PromptModel):
    """Variables of a prompt that asks about some of a user's candidates."""

    taste: Taste
    recent: tuple[RecentItem, ...]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, kw_only=True)
class UserContext:
    """One user and the candidate items to rerank, as prompts show them.

    Attributes:
        user: the data set's user id as text; seeds the user's shuffles and names its requests.
        candidates: in the graph's order, ids unique.
    """

    user: str
    taste: Taste
    recent: tuple[RecentItem, ...]
    candidates: tuple[Candidate, ...]
