"""Match a title and a year with the results of a TMDB search.

The rule: the normalised title equals the film's title or original title, and the years differ by
at most one (festivals and releases fall into different years). Among several the nearest year
wins, then the more popular film. Nothing alike is taken instead: a wrong overview is worse than
none.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from recsys_core.datasets.tmdb.schemas import Candidate

YEARS_APART: Final = 1

_ARTICLE: Final = "the|an|a|la|les|le|los|las|el|il|lo|gli|das|der|den|det|un|une|una"
# Articles that are other words in other titles ("Die Hard", "I, Robot", "As Good as It Gets"):
# moved to the front from behind a comma, but never left out.
_AMBIGUOUS: Final = "die|i|de|het|um|uma|o|os|as"
_YEAR: Final = re.compile(r"\s*\((\d{4})\)\s*(?:\((?:V|TV)\)\s*)?$")
_LAST_BRACKETS: Final = re.compile(r"^(.*\S)\s*[(\[]([^()\[\]]*)[)\]]\s*$")
_ARTICLE_LAST: Final = re.compile(rf"^(.+), ({_ARTICLE}|{_AMBIGUOUS}|l')$", re.IGNORECASE)
_ALSO_KNOWN_AS: Final = re.compile(r"^(?:a\.?\s?k\.?\s?a\.?|also known as)[:\s]\s*", re.IGNORECASE)
_LETTERS: Final = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d"})
_APOSTROPHE: Final = r"['`\u00b4\u2019]"


def normalised_title(title: str) -> str:
    """A title as it is compared: no case, accents, punctuation, or leading article.

    "City of Lost Children, The" and "The City of Lost Children" are the same.
    """
    text = unicodedata.normalize("NFKD", _article_first(title.strip()).casefold())
    text = "".join(c for c in text if not unicodedata.combining(c)).translate(_LETTERS)
    text = re.sub(rf"^l{_APOSTROPHE}\s*(?=\w)", "", text.replace("&", " and "))
    words = re.sub(r"[\W_]+", " ", re.sub(_APOSTROPHE, "", text)).strip()
    return re.sub(rf"^(?:{_ARTICLE}) (?=\S)", "", words) or title.casefold().strip()


def title_and_year(title: str, year: int | None) -> tuple[str, int | None]:
    """The title without a year in brackets at its end, and the year, from there if not known."""
    found = _YEAR.search(title)
    if found is None or not title[: found.start()].strip():
        return title.strip(), year
    return title[: found.start()].strip(), int(found[1]) if year is None else year


def alternatives(title: str) -> list[str]:
    """The names that one title may hold, the likeliest first, each to be searched for.

    "Tin Drum, The (Blechtrommel, Die)" gives "The Tin Drum", "Die Blechtrommel" and the whole.
    """
    main = title.strip()
    brackets: list[str] = []
    while found := _LAST_BRACKETS.match(main):
        main = found[1]
        brackets = [*_names_in(found[2]), *brackets]
    names = [_article_first(name.strip()) for name in (main, *brackets, title) if name.strip()]
    unique: dict[str, str] = {}
    for name in names:
        unique.setdefault(normalised_title(name), name)
    return list(unique.values())


def best_match(
    results: Iterable[Candidate], names: Iterable[str], year: int | None
) -> Candidate | None:
    """The film that has one of the names and the year, or None.

    Args:
        results: of a search.
        names: `alternatives` of the title.
        year: of the item; None takes a film of any year.
    """
    wanted = {normalised_title(name) for name in names}
    fitting = [film for film in results if _titles(film) & wanted and _near(film, year)]
    return min(fitting, key=lambda film: (_apart(film, year), -(film.popularity or 0), film.id),
               default=None)  # fmt: skip


def _article_first(name: str) -> str:
    found = _ARTICLE_LAST.match(name)
    if found is None:
        return name
    return f"{found[2]}{'' if found[2].endswith(chr(39)) else ' '}{found[1]}"


def _names_in(brackets: str) -> list[str]:
    """What stands in brackets: one name, or after "a.k.a." perhaps several."""
    name = _ALSO_KNOWN_AS.sub("", brackets)
    if name == brackets or _ARTICLE_LAST.match(name):
        return [name]
    return [name, *name.split(", ")]


def _titles(film: Candidate) -> set[str]:
    return {normalised_title(title) for title in (film.title, film.original_title) if title}


def _near(film: Candidate, year: int | None) -> bool:
    return year is None or (film.year is not None and _apart(film, year) <= YEARS_APART)


def _apart(film: Candidate, year: int | None) -> int:
    return abs(film.year - year) if film.year is not None and year is not None else 0
