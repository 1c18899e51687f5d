"""Caveats: what limits the reproduction's figures, in sentences for its page."""

from collections.abc import Collection
from typing import Final

from recsys_core.columns import PUBLISHED
from recsys_core.config import ReproduceConfig

PREFIX: Final = f"{PUBLISHED}:"
"""Before the names of the authors' own lists."""
_PAPER_FILES: Final = ("item_profiles.parquet", "user_profiles.parquet", "table1.csv")
_RULES_JUDGE: Final = (
    "Rules judged for all strategies. They give one and the same relevance to every question,"
    " so the strategies differ in scale and ties only: which one to choose with a language model"
    " is not for these rows to say."
)
_SETTINGS: Final = (
    "What validation does not choose in preset `best` (width, heads, the loss of dense data) was"
    " found beforehand on parts of the training ratings of fold 1 of MovieLens 100K held out in"
    " turn (docs/experiments.md). Test rows of its folds 2 to 5 are among those; of fold 1 no"
    " choice has seen any."
)
_ATTRIBUTES: Final = (
    "Where the data set has a table of users (their age, for example), `gat_best` and its variants"
    " but `no_attributes` are told what it holds; the baselines are not."
)
_PUBLISHED_USERS: Final = (
    "The authors' user profiles were written from the training ratings of fold 1, so they are used"
    " on that fold only; for every other fold user profiles are written anew from that fold's own"
    " training ratings. Means over folds mix the two.",
    "They were written from all training ratings of fold 1, our validation part among them:"
    " choices on that fold are made with profiles that know a little too much.",
)


def caveats(config: ReproduceConfig, methods: Collection[str], *, judged: bool) -> list[str]:
    """A sentence each.

    Args:
        config: the run's parameters.
        methods: names of all that was measured, the authors' own lists among them.
        judged: whether lists were reranked.
    """
    writer = config.llm.model if config.llm.uses_model else "rules, not a language model"
    notes = [
        f"Every profile and judgement that the authors did not publish is by {writer}.",
        "Every choice is made on a validation part of the training ratings; test ratings are read"
        " by the measurement alone. Baselines have the same number of candidates each.",
    ]
    if not config.llm.uses_model and judged:
        notes.append(_RULES_JUDGE)
    if any(name.startswith("gat_best") for name in methods):
        notes += [_SETTINGS, _ATTRIBUTES] if config.best.user_attributes_weight else [_SETTINGS]
    if config.paper_file("user_profiles.parquet"):
        notes += _PUBLISHED_USERS
    if not any(name.startswith(PREFIX) for name in methods):
        notes.append("The authors' published lists are not part of this run.")
    missing = [name for name in _PAPER_FILES if config.paper_file(name) is None]
    if missing:
        notes.append(f"Of the paper's data these are not there: {', '.join(missing)}.")
    return notes
