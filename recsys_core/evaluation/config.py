"""Configuration of the evaluation."""

from pydantic import Field

from recsys_core.section import Section


class EvaluationConfig(Section):
    """What is measured."""

    cutoffs: tuple[int, ...] = (1, 5, 10, 20, 30, 40, 50)
    """Cut-offs k of every metric, such as 5 and 10, or 20, to compare with a publication."""
    cold_below: int = Field(default=10, ge=1)
    """Users with fewer training interactions are cold: they are measured apart, and
    `fusion.policy` may rerank them alone."""
    bootstrap: int = Field(default=1000, ge=0)
    """Bootstrap resamples of users for the 95 % intervals; 0 leaves them out."""
