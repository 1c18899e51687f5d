"""Settings of components, and the values that a search tries of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Settings = Mapping[str, float]

DECAY: Final = "decay"
"""The setting that belongs to the input of a component, not to its fit."""


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """Values of a parameter, of which a search tries some.

    Attributes:
        values: ascending; the search begins in the middle.
        geometric: whether it may try half a rung beside the best one (the geometric mean).
        cheap: whether a value costs no fit: then all are tried, from the first one on.
        provisional: whether the first value is there for the search of other parameters alone, and
            the best of the rest is taken in the end.
    """

    values: tuple[float, ...]
    geometric: bool = False
    cheap: bool = False
    provisional: bool = False

    def some(self, most: int) -> tuple[float, ...]:
        """At most so many values, from the middle outwards; all of them where they are cheap."""
        if self.cheap:
            return self.values
        middle = (len(self.values) - 1) / 2
        nearest = sorted(range(len(self.values)), key=lambda place: (abs(place - middle), place))
        return tuple(self.values[place] for place in nearest[:most])


LAMBDA: Final = Ladder(values=(2.5, 10.0, 40.0, 160.0, 640.0), geometric=True)
"""Regularisation of the local regressions."""
