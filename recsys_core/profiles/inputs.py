"""What profiles are written from: the variables of the two prompts."""

from pydantic import Field

from recsys_core.profiles.schema import Profile
from recsys_core.prompt_context.models import PromptModel


class ItemProfileInput(PromptModel):
    """One item, as the data set describes it."""

    title: str
    """Its title."""
    year: int | None = None
    """Year of release."""
    genres: tuple[str, ...] = ()
    """Genres of the data set."""
    overview: str | None = None
    """What it is about, where the data set says so."""
    extra: dict[str, str] = Field(default_factory=dict)
    """Further columns of the items that were chosen, by name (director, cast, keywords)."""
    labels: tuple[str, ...] = ()
    """Those of them that hold labels (`a | b`): they may become themes."""
    prose: tuple[str, ...] = ()
    """Those of them that hold prose; numbers and dates are shown and are no themes."""


class NumberedItem(PromptModel):
    """One of several items of a request."""

    id: str
    """Its number in this request."""
    item: ItemProfileInput
    """What the data set says of it."""


class ItemsProfileInput(PromptModel):
    """Several items, each to be profiled by itself."""

    items: tuple[NumberedItem, ...]
    """The items."""


class RatedItem(PromptModel):
    """One rated item, as a user's turn shows it."""

    title: str
    """Its title."""
    year: int | None = None
    """Year of release."""
    genres: tuple[str, ...] = ()
    """Genres of its profile."""
    tags: tuple[str, ...] = ()
    """The strongest tags of its profile."""
    overview: str = ""
    """The first sentences of its profile's overview."""


class UserTurnInput(PromptModel):
    """One turn of a user's profile: the profile so far and one more batch of rated items."""

    previous: Profile | None = None
    """The profile so far; none in the first turn."""
    liked: tuple[RatedItem, ...] = ()
    """Items this user rated high, the most telling first."""
    disliked: tuple[RatedItem, ...] = ()
    """Items this user rated low, the most telling first."""
