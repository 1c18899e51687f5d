"""Configuration of item profiles and of user profiles."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from recsys_core.section import Section


class ItemProfileConfig(Section):
    """Item profiles."""

    # Where ready-made profiles lie is not in the content key; the file's hash is.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({"file"})
    former_names: ClassVar[Mapping[str, str]] = {
        "items_per_call": "write `item_profiles.per_call`",
        "items_file": "write `item_profiles.file`",
    }

    per_call: int = Field(default=1, ge=1, le=10)
    """Items whose profiles one call writes. More are cheaper (the instructions are sent once), and
    a change of one item, or a bad answer about one, concerns all items of its call."""
    file: str | None = None
    """Parquet of ready-made item profiles (item_id, profile as Markdown); the rest are written."""


class UserProfileConfig(Section):
    """User profiles."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset({"file"})
    former_names: ClassVar[Mapping[str, str]] = {"users_file": "write `user_profiles.file`"}

    max_liked: int = Field(default=10, ge=0, le=50)
    """Liked items shown per user: the highest rated first, then the most recent."""
    max_disliked: int = Field(default=10, ge=0, le=50)
    """Disliked items shown per user."""
    batch_size: int = Field(default=5, ge=1, le=20)
    """Items per turn of the user profile's multi-turn refinement."""
    file: str | None = None
    """Parquet of ready-made user profiles (user_id, profile as Markdown). They must come from
    this fold's training ratings only: the run cannot see from which ratings they were written."""
