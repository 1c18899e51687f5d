"""Configuration of the last step, which trades accuracy for variety."""

from typing import Literal

from pydantic import Field

from recsys_core.section import Section


class DiversityConfig(Section):
    """How the first places of served lists are chosen from a longer pool."""

    method: Literal["none", "mmr", "calibration"] = "none"
    """`mmr` takes titles unlike those above them (maximal marginal relevance), `calibration` such
    that genres have the shares they have in what the user liked (Steck 2018); `none` leaves the
    lists as they are. The report's curve shows what each weight costs on validation."""
    weight: float = Field(default=0.5, ge=0, le=1)
    """Weight of the variety; the score has the rest."""
    pool: int = Field(default=50, ge=1)
    """Titles of a list that the first places are chosen from."""
    length: int = Field(default=10, ge=1)
    """Places that are chosen; the rest keeps its order."""
