"""Checks of answers that several purposes share."""

from collections.abc import Iterable


def check_ids(asked: Iterable[str], answered: Iterable[str]) -> None:
    """Refuse an answer that does not name exactly the ids that were asked for.

    Raises:
        ValueError: ids are missing, invented or named twice; all of them are listed.
    """
    wanted, given = list(asked), list(answered)
    findings = {
        "missing": [one for one in wanted if one not in given],
        "not asked for": [one for one in given if one not in wanted],
        "named twice": sorted({one for one in given if given.count(one) > 1}),
    }
    problems = [f"{what}: {', '.join(map(repr, ids))}" for what, ids in findings.items() if ids]
    if problems:
        raise ValueError(
            f"the ids do not match ({'; '.join(problems)}); give each of these ids once:"
            f" {', '.join(map(repr, wanted))}"
        )
