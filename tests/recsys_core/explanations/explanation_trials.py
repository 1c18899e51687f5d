"""Does the metric of explanations tell true from false? Three trials with known answers.

True explanations are set against false ones made from them, and the area under the ROC curve says
how often the share of supported claims of a true one is above that of a false one:

- `another item`: the sentence and evidence of another entry of the same user's list;
- `another user`: those that another user was given, for the same item where there is such a user;
- `planted`: one claim of the same sentence replaced by a false one: a title that the user did not
  like for one they did, or an attribute that the item does not have for one that it has.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core import columns as c
from recsys_core.evaluation.metrics import Floats
from recsys_core.explanations.attributes import attributes, label
from recsys_core.explanations.evaluation.metrics import ClaimChecker
from recsys_core.explanations.named_attributes import in_sentence
from recsys_core.explanations.sentence_templates import shown_title

ANOTHER_ITEM: Final = "another item"
ANOTHER_USER: Final = "another user"
PLANTED: Final = "planted"

Row = dict[str, Any]
_SAID: Final = (c.EXPLANATION, c.LIKED_EVIDENCE, c.ATTRIBUTE_EVIDENCE)


def auc(true: Floats, false: Floats) -> float:
    """Area under the ROC curve: the chance that a true one scores higher; ties count half."""
    scores = pl.Series(np.concatenate([true, false])).rank("average").to_numpy()
    wins = scores[: true.size].sum() - true.size * (true.size + 1) / 2
    return float(wins / (true.size * false.size)) if true.size and false.size else np.nan


def trials(
    recommendations: pl.DataFrame, items: pl.DataFrame, checker: ClaimChecker, seed: int
) -> dict[str, float]:
    """The area under the ROC curve of every trial, over explanations that claim anything.

    Args:
        recommendations: `columns.RECOMMENDATIONS`, taken to be true.
        items: `columns.ITEMS`, for titles and attributes to plant.
        checker: catalogue and users.
        seed: of all draws.
    """
    true = recommendations.rows(named=True)
    makers: Mapping[str, Callable[[list[Row], np.random.Generator], list[Row]]] = {
        ANOTHER_ITEM: _of_another_item,
        ANOTHER_USER: _of_another_user,
        PLANTED: lambda rows, rng: _planted(rows, items, rng),
    }
    right, wrong = supports(true, checker), {}
    for name, make in makers.items():
        wrong[name] = supports(make(true, np.random.default_rng(seed)), checker)
    return {name: auc(right, scores) for name, scores in wrong.items()}


def supports(rows: list[Row], checker: ClaimChecker) -> Floats:
    """The share of supported claims of every explanation that claims anything."""
    found = [verdicts for row in rows if (verdicts := checker.verdicts(row))]
    return np.array([np.mean(verdicts) for verdicts in found], np.float64)


def _said_of(row: Row, said: Row) -> Row:
    return {**row, **{name: said[name] for name in _SAID}}


def _of_another_item(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    return _exchanged(rows, rng, lambda row: row[c.USER], c.ITEM)


def _of_another_user(rows: list[Row], rng: np.random.Generator) -> list[Row]:
    # Items that one user alone was recommended are left out.
    return _exchanged(rows, rng, lambda row: row[c.ITEM], c.USER)


def _exchanged(
    rows: list[Row], rng: np.random.Generator, group: Callable[[Row], Any], differs: str
) -> list[Row]:
    """Every row with what another row of its group says, where there is one."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(group(row), []).append(row)
    made = []
    for row in rows:
        others = [one for one in groups[group(row)] if one[differs] != row[differs]]
        if others:
            made.append(_said_of(row, others[int(rng.integers(len(others)))]))
    return made


def _planted(rows: list[Row], items: pl.DataFrame, rng: np.random.Generator) -> list[Row]:
    """Rows with one false claim; those with nothing to replace are left out."""
    known = {row[c.ITEM]: row for row in items.iter_rows(named=True)}
    ids, genres = list(known), sorted({one for row in known.values() for one in row[c.GENRES]})
    made = []
    for row in rows:
        lie = _false_title(row, known, ids, rng) or _false_genre(row, known, genres, rng)
        if lie is not None:
            made.append(lie)
    return made


def _false_title(
    row: Row, known: Mapping[Any, Row], ids: list[Any], rng: np.random.Generator
) -> Row | None:
    for cited in row[c.LIKED_EVIDENCE] or ():
        true = shown_title(known[cited][c.TITLE])
        other = known[ids[int(rng.integers(len(ids)))]]
        if true in row[c.EXPLANATION] and other[c.ITEM] not in row[c.LIKED_EVIDENCE]:
            said = row[c.EXPLANATION].replace(true, shown_title(other[c.TITLE]))
            return {**row, c.EXPLANATION: said}
    return None


def _false_genre(
    row: Row, known: Mapping[Any, Row], genres: list[str], rng: np.random.Generator
) -> Row | None:
    own = set(known[row[c.ITEM]][c.GENRES])
    foreign = [one for one in genres if one not in own]
    for key in attributes(known[row[c.ITEM]][c.GENRES], (), None):
        true = in_sentence(label(key))
        if foreign and true in row[c.EXPLANATION]:
            false = in_sentence(foreign[int(rng.integers(len(foreign)))])
            return {**row, c.EXPLANATION: row[c.EXPLANATION].replace(true, false)}
    return None
