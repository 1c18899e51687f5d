"""Configuration of the explanations."""

from typing import ClassVar

from pydantic import Field

from recsys_core.section import Section


class ExplanationConfig(Section):
    """The reasons."""

    # The judge reads what was written and changes nothing of it.
    runtime_fields: ClassVar[frozenset[str]] = frozenset({"judge", "judge_users", "fidelity_users"})

    batch: int = Field(default=20, ge=1, le=200)
    """Titles explained per request; fewer for models with a small context."""
    language: str = Field(default="English", min_length=2, max_length=60)
    """Language of the sentences that a model writes; the rules write English only."""
    keep_margin: float = Field(default=20.0, ge=0, le=50)
    """What a title was for a recommendation in the last run of this configuration (one that reasons
    may cite, the strongest, a strong one), it stays, unless its influence speaks against it by more
    than so many points, in percent of the strongest title's: training again moves all of them a
    little, and reasons are asked for again where these change. What does not raise the score any
    more is never cited. 0 keeps nothing."""
    fidelity_users: int = Field(default=200, ge=1)
    """Users whose reasons are measured by taking the cited titles away, drawn by the seed."""
    judge: bool = False
    """Let the language model judge reasons, too, beside the automatic measures: whether they are
    supported, and how convincing. A call per judged user."""
    judge_users: int = Field(default=50, ge=1)
    """Users whose first five reasons are judged, drawn by the seed: each costs a call."""
