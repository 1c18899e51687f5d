"""How good the reasons are, measured without a reader (the paper leaves this open).

For every explanation, from what it says (`claims`) and what it cites:

- `grounded`: 1 if every attribute it claims is in the item's profile or metadata, every title it
  names is one that the user liked in training, and its declared evidence is so, too; else 0.
- `specific`: the share of a random sample of other recommended items of which its attributes would
  *not* all be true; over the explanations that name attributes.
- `personal`: the share of a random sample of other users for whom it would *not* be true: who do
  not like every title it names or, where it names none, whose profile does not hold every
  attribute; 0 for a sentence that claims nothing about its reader.
- `dislikes_respected`: 1 if nothing it claims is among the user's dislikes; over the explanations
  of users who have some.
- `readable`: 1 if it is one clean sentence: 5 to 40 words, a capital first letter, an end mark, no
  markup, keys or words said twice in a row.
- `unsupported_claims`: false claims divided by all claims, over the explanations that claim
  anything.
- `numbers_verified`: 1 if every number in the sentence is how many people liked a title it cites,
  or the item, or both, counted anew; over the explanations with numbers.
- `false_absences`: 1 if it says that nothing of the reader's liking is known or alike, to a reader
  who is known to like something.

Each is averaged per user first; the intervals are over users. Whether the metric can tell true
from false is measured, too: see `explanation_trials`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl

from recsys_core import columns as c
from recsys_core.evaluation.metrics import Bools, Floats
from recsys_core.evaluation.significance import intervals, means
from recsys_core.explanations.evaluation.claims import (
    QUOTED,
    Catalogue,
    Claims,
    Words,
    folded,
    title_key,
)
from recsys_core.interactions.feedback import is_liked

EXPLANATIONS: Final = "explanations"
"""Name of the protocol in the metrics table."""
GROUNDED: Final = "grounded"
SPECIFIC: Final = "specific"
PERSONAL: Final = "personal"
DISLIKES_RESPECTED: Final = "dislikes_respected"
READABLE: Final = "readable"
UNSUPPORTED: Final = "unsupported_claims"
NUMBERS: Final = "numbers_verified"
ABSENCES: Final = "false_absences"
EXPLANATION_METRICS: Final = (
    GROUNDED,
    SPECIFIC,
    PERSONAL,
    DISLIKES_RESPECTED,
    READABLE,
    UNSUPPORTED,
    NUMBERS,
    ABSENCES,
)
SUPPORT: Final = "support"
"""Share of an explanation's claims that hold; the score that tells true from false."""

_OTHERS: Final = 50
"""Other items, and other users, that every explanation is tried on."""
_BROKEN: Final = re.compile(r"[{}<>\[\]|\\]|https?:|\b(?:genre|tag|decade):|\b(\w+) \1\b", re.I)


_NUMBER: Final = re.compile(r"\b\d+\b")
_ABSENT: Final = re.compile(
    r"\b(?:no|none|nothing|not any|never)\b[^.]*\b(?:you|your|yours)\b"
    r"|\b(?:without|lacking) (?:a|any) (?:liked )?title", re.I
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class UserFacts:
    """What explanations may say about each user: liked titles and items, taste, dislikes.

    `fans` are the users who liked each item.
    """

    liked_titles: dict[Any, frozenset[Words]]
    liked_items: dict[Any, frozenset[Any]]
    taste: dict[Any, frozenset[Words]]
    dislikes: dict[Any, frozenset[Words]]
    fans: dict[Any, frozenset[Any]] = field(default_factory=dict)


def user_facts(
    history: pl.DataFrame,
    items: pl.DataFrame,
    user_profiles: pl.DataFrame,
    like_from: float,
    counted: pl.DataFrame | None = None,
) -> UserFacts:
    """What explanations may say about users.

    Args:
        history: `columns.INTERACTIONS` of the training split.
        items: `columns.ITEMS`.
        user_profiles: `columns.USER_PROFILES`.
        like_from: lowest rating that counts as liked.
        counted: the interactions that people are counted in; by default the history.
    """
    titles = {row[0]: title_key(row[1] or "") for row in items.select(c.ITEM, c.TITLE).iter_rows()}
    liked = history.filter(is_liked(like_from)).group_by(c.USER).agg(c.ITEM)
    own = {user: frozenset(found) for user, found in liked.iter_rows()}
    profiles = list(user_profiles.iter_rows(named=True))
    likes = (history if counted is None else counted).filter(is_liked(like_from))
    fans = likes.group_by(c.ITEM).agg(c.USER)
    return UserFacts(
        liked_items=own,
        liked_titles={user: frozenset(titles[one] for one in found if one in titles)
                      for user, found in own.items()},
        taste={row[c.USER]: folded([*(row[c.GENRES] or ()), *(row[c.TAGS] or ())])
               for row in profiles},
        dislikes={row[c.USER]: folded(row[c.DISLIKES] or ()) for row in profiles},
        fans={item: frozenset(found) for item, found in fans.iter_rows()},
    )  # fmt: skip


class ClaimChecker:
    """Holds the claims of explanations to the catalogue and to what is known of the users."""

    def __init__(self, catalogue: Catalogue, known: UserFacts) -> None:
        self.catalogue, self.known = catalogue, known
        self._claims: dict[str, Claims] = {}

    def claims(self, sentence: str) -> Claims:
        """What the sentence claims; each is read once."""
        if sentence not in self._claims:
            self._claims[sentence] = self.catalogue.claims(sentence)
        return self._claims[sentence]

    def verdicts(self, row: dict[str, Any]) -> list[bool]:
        """Whether each claim of an explanation holds: words first, then the declared evidence."""
        claims, user, item = self.claims(row[c.EXPLANATION]), row[c.USER], row[c.ITEM]
        found = [self.catalogue.supports(item, label) for label in claims.attributes]
        found += [self._title_holds(user, item, title) for title in claims.titles]
        liked = self.known.liked_items.get(user, frozenset())
        found += [one in liked for one in row[c.LIKED_EVIDENCE] or ()]
        labels = folded([key.partition(":")[2] for key in row[c.ATTRIBUTE_EVIDENCE] or ()])
        return found + [self.catalogue.supports(item, label) for label in labels]

    def _title_holds(self, user: Any, item: Any, title: Words) -> bool:
        liked = self.known.liked_titles.get(user, frozenset())
        return title in liked or title == self.catalogue.facts[item].title

    def metrics(self, row: dict[str, Any], others: "ComparisonSample") -> dict[str, float]:
        """All metrics of one explanation; NaN where one does not apply."""
        claims, verdicts = self.claims(row[c.EXPLANATION]), self.verdicts(row)
        dislikes = self.known.dislikes.get(row[c.USER], frozenset())
        support = sum(verdicts) / len(verdicts) if verdicts else np.nan
        return {
            GROUNDED: float(all(verdicts)),
            SPECIFIC: others.share_of_other_items(row[c.ITEM], claims)
            if claims.attributes else np.nan,
            PERSONAL: others.share_of_other_users(row[c.USER], row[c.ITEM], claims),
            DISLIKES_RESPECTED: float(dislikes.isdisjoint(claims.attributes)) if dislikes
            else np.nan,
            READABLE: float(readable(row[c.EXPLANATION])),
            UNSUPPORTED: 1 - support,
            NUMBERS: self._numbers_hold(row),
            ABSENCES: float(
                bool(self.known.liked_items.get(row[c.USER]))
                and _ABSENT.search(QUOTED.sub("it", row[c.EXPLANATION])) is not None
            ),
            SUPPORT: support,
        }  # fmt: skip

    def _numbers_hold(self, row: dict[str, Any]) -> float:
        """1 if each number in the sentence is a count of people, 0 if not; NaN without numbers."""
        said = {int(one) for one in _NUMBER.findall(QUOTED.sub("it", row[c.EXPLANATION]))}
        if not said:
            return np.nan
        nobody: frozenset[Any] = frozenset()
        own = self.known.fans.get(row[c.ITEM], nobody)
        true = {len(own)}
        for cause in row[c.LIKED_EVIDENCE] or ():
            fans = self.known.fans.get(cause, nobody)
            true |= {len(fans), len(fans & own)}
        return float(said <= true)


class ComparisonSample:
    """Samples of other items and users: how many would the same explanation be true of?

    Whether a claim holds is computed for the whole sample at once, and once per claim.
    """

    def __init__(self, recommendations: pl.DataFrame, checker: ClaimChecker, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._checker = checker
        self._items, self._users = (
            ids.gather(rng.permutation(ids.len())[:_OTHERS]).to_list()
            for ids in (recommendations[name].unique().sort() for name in (c.ITEM, c.USER))
        )
        self._of_items: dict[Words, Bools] = {}
        self._of_tastes: dict[Words, Bools] = {}
        self._of_titles: dict[Words, Bools] = {}

    def share_of_other_items(self, item: Any, claims: Claims) -> float:
        """The share of the items of which the claimed attributes are not all true."""

        def holds(label: Words) -> Bools:
            return np.array([self._checker.catalogue.supports(one, label) for one in self._items])

        fits = [_once(self._of_items, label, holds) for label in claims.attributes]
        return _share_not_fitting(fits, [one != item for one in self._items])

    def share_of_other_users(self, user: Any, item: Any, claims: Claims) -> float:
        """The share of the users for whom the sentence would not be true."""
        known, own = self._checker.known, self._checker.catalogue.facts[item].title

        def liked(title: Words) -> Bools:
            none: frozenset[Words] = frozenset()
            return np.array([title in known.liked_titles.get(one, none) for one in self._users])

        def wanted(label: Words) -> Bools:
            none: frozenset[Words] = frozenset()
            return np.array([label in known.taste.get(one, none) for one in self._users])

        titles = [one for one in claims.titles if one != own]
        fits = [_once(self._of_titles, title, liked) for title in titles]
        if not titles:
            fits = [_once(self._of_tastes, label, wanted) for label in claims.attributes]
        return _share_not_fitting(fits, [one != user for one in self._users])


def _once(cache: dict[Words, Bools], key: Words, work: Callable[[Words], Bools]) -> Bools:
    if key not in cache:
        cache[key] = work(key)
    return cache[key]


def _share_not_fitting(fits: list[Bools], others: list[bool]) -> float:
    """The share of `others` whom not every claim fits; without a claim it fits them all."""
    count = sum(others)
    if not count:
        return np.nan
    fitting = np.array(others)
    for one in fits:
        fitting &= one
    return 1 - np.count_nonzero(fitting) / count


def readable(sentence: str) -> bool:
    """Whether it is one clean sentence of 5 to 40 words."""
    text = sentence.strip()
    first = text.lstrip("“\"'\u2018«(")[:1]
    count = len(text.split())
    return (
        5 <= count <= 40
        and text[-1:] in ".!?…"
        and (first.isupper() or first.isdigit())
        and _BROKEN.search(QUOTED.sub("it", text)) is None  # titles may be as they are
    )


def check_explanations(
    recommendations: pl.DataFrame, checker: ClaimChecker, seed: int
) -> pl.DataFrame:
    """USER, ITEM, RANK and a column per measure, a row per explanation.

    Args:
        recommendations: `columns.RECOMMENDATIONS`.
        checker: catalogue and users.
        seed: of the sample of other items and users.
    """
    others = ComparisonSample(recommendations, checker, seed)
    rows = [checker.metrics(row, others) for row in recommendations.iter_rows(named=True)]
    schema = dict.fromkeys((*EXPLANATION_METRICS, SUPPORT), pl.Float64)
    measured = pl.DataFrame(rows, schema=schema)
    return pl.concat([recommendations.select(c.USER, c.ITEM, c.RANK), measured], how="horizontal")


def evaluate_explanations(
    recommendations: pl.DataFrame,
    *,
    history: pl.DataFrame,
    items: pl.DataFrame,
    item_profiles: pl.DataFrame,
    user_profiles: pl.DataFrame,
    like_from: float,
    method: str,
    counted: pl.DataFrame | None = None,
    cutoffs: Sequence[int] = (5, 20),
    bootstrap: int = 1000,
    seed: int = 0,
) -> pl.DataFrame:
    """Measure the reasons of all lists.

    Args:
        recommendations: `columns.RECOMMENDATIONS`.
        history: `columns.INTERACTIONS` that lists were made from.
        items: `columns.ITEMS`; keywords, cast and directors count where they are there.
        item_profiles: `columns.ITEM_PROFILES`.
        user_profiles: `columns.USER_PROFILES`.
        like_from: lowest rating that counts as liked.
        counted: the interactions that people are counted in; by default the history.
        method: name in the table, such as the model that wrote.
        cutoffs: how many first entries of each list count.
        bootstrap: resamples of users for the 95 % intervals; 0 leaves them out.
        seed: of resamples, and of the other items and users.

    Returns:
        `columns.METRICS` with protocol `explanations`; null where a measure applies to nobody.

    Raises:
        DataError: a table breaks its contract.
    """
    c.check(recommendations, c.RECOMMENDATIONS, table="recommendations")
    known = user_facts(history, items, user_profiles, like_from, counted)
    rows = check_explanations(
        recommendations, ClaimChecker(Catalogue(items, item_profiles), known), seed
    )
    tables = [
        average_per_user(rows, EXPLANATION_METRICS, method, k, bootstrap, seed) for k in cutoffs
    ]
    return pl.concat([pl.DataFrame(schema=dict(c.METRICS)), *tables])


def average_per_user(
    rows: pl.DataFrame, metrics: Sequence[str], method: str, k: int, bootstrap: int, seed: int
) -> pl.DataFrame:
    """Measures of single explanations as `columns.METRICS`: per user first, then over users.

    Args:
        rows: USER, RANK and a column per measure, a row per explanation; null or NaN where a
            measure does not apply.
        metrics: columns to average.
        method: name in the table.
        k: how many first entries of each list count.
        bootstrap: resamples of users for the 95 % intervals; 0 leaves them out.
        seed: of the resamples.
    """
    top = rows.filter(pl.col(c.RANK) <= k).group_by(c.USER).agg(
        pl.col(name).fill_nan(None).mean() for name in metrics
    ).sort(c.USER)  # fmt: skip
    values: Floats = top.select(metrics).cast(pl.Float64).fill_null(np.nan).to_numpy()
    value, counted = means(values)
    low, high = intervals(values, resamples=bootstrap, seed=seed)
    columns = {
        c.METHOD: [method] * len(metrics), c.PROTOCOL: [EXPLANATIONS] * len(metrics),
        c.K: [k] * len(metrics), c.METRIC: metrics, c.VALUE: value, c.CI_LOW: low,
        c.CI_HIGH: high, c.USERS: counted,
    }  # fmt: skip
    return pl.DataFrame(columns).cast(dict(c.METRICS)).fill_nan(None)  # type: ignore[arg-type]
