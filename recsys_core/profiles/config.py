"""Configuration of item and user profiles."""

from typing import ClassVar

from pydantic import Field

from recsys_core.section import Section


class ProfileConfig(Section):
    """Item and user profiles."""

    # Where ready-made profiles lie is no part of a content key; their content's hash is.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({"items_file", "users_file"})

    max_liked: int = Field(default=10, ge=0, le=50)
    """Liked items shown per user, the most telling first."""
    max_disliked: int = Field(default=10, ge=0, le=50)
    """Disliked items shown per user."""
    batch_size: int = Field(default=5, ge=1, le=20)
    """Items per turn of the user profile's multi-turn refinement."""
    items_per_call: int = Field(default=1, ge=1, le=10)
    """Items whose profiles one call writes. More are cheaper (the instructions are sent once), and
    a change of one item, or a bad answer about one, concerns all items of its call."""
    items_file: str | None = None
    """Parquet of ready-made item profiles (item_id, profile as Markdown); the rest are written."""
    users_file: str | None = None
    """Parquet of ready-made user profiles (user_id, profile as Markdown). They must come from
    this fold's training ratings only: the run cannot see from which ratings they were written."""
