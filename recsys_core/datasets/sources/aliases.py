"""Column aliases: which column of a file is the user, the item, the rating, and so on.

Names are compared without case, underscores and RecBole's type suffix, so `userId`, `USER_ID` and
`user_id:token` are one. `--data.columns` wins over aliases, the contract's own name over both.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from recsys_core.columns import (
    AVAILABLE,
    GENRES,
    ITEM,
    OVERVIEW,
    PART,
    POSITION,
    RATING,
    TIMESTAMP,
    TITLE,
    TMDB_ID,
    USER,
    YEAR,
)

Aliases = Mapping[str, Sequence[str]]

_USER: Final = (
    "user", "uid", "userid", "reviewerid", "customerid", "customer", "visitorid", "memberid",
    "personid", "accountid", "userno", "sessionid",
)  # fmt: skip
_ITEM: Final = (
    "item", "iid", "itemid", "movieid", "filmid", "parentasin", "asin", "productid", "bookid",
    "businessid", "trackid", "songid", "artistid", "videoid", "articleid", "newsid", "appid",
    "gameid", "animeid", "recipeid", "isbn", "sku", "stockcode", "contentid", "itemno",
)  # fmt: skip
_NAMED: Final = (
    "movie", "film", "product", "book", "track", "song", "artist", "video", "article", "game",
    "recipe", "business", "venue", "poi", "app", "course", "url", "title", "movietitle",
)  # fmt: skip
"""Items that are called by their name, in a table of interactions that has no id of them."""
CALLED_ITEMS: Final = frozenset((*_ITEM, *_NAMED, "id", "no", "nr", "number"))
"""Words that say what an item is called in a table, and nothing of one of them (`item_53`)."""
COUNTS: Final = (
    "plays", "playcount", "listens", "listencount", "count", "counts", "hours", "hoursplayed",
    "quantity", "views", "clicks", "purchases", "frequency", "watchtime", "minutes",
)  # fmt: skip
"""Columns that count how often or how long: implicit feedback."""
INTERACTION_ALIASES: Final[Aliases] = {
    USER: _USER,
    ITEM: _ITEM,
    RATING: ("ratings", "stars", "star", "overall", "score", "ratingscore", "reviewscore",
             "bookrating", "starrating", "rate", "liked", "like", "isliked", "label", "weight",
             *COUNTS),
    TIMESTAMP: ("time", "ts", "datetime", "date", "unixreviewtime", "unixtime", "ratingtimestamp",
                "eventtime", "eventtimestamp", "createdat", "reviewtime", "invoicedate",
                "orderdate", "purchasedate", "tdat"),
    PART: (),
    POSITION: (),
}  # fmt: skip
ITEM_ALIASES: Final[Aliases] = {
    ITEM: (*_ITEM, "id"),
    TITLE: ("movietitle", "itemname", "name", "producttitle", "productname", "prodname",
            "booktitle", "trackname", "itemtitle", "filmtitle", "primarytitle", "originaltitle"),
    YEAR: ("releaseyear", "movieyear", "publicationyear", "originalpublicationyear", "startyear",
           "yearofpublication", "yearofrelease", "releasedate"),
    GENRES: ("genre", "moviegenres", "categories", "category", "class", "listedin"),
    OVERVIEW: ("description", "plot", "synopsis", "plotsummary", "abstract", "summary"),
    TMDB_ID: ("tmdb",),
    AVAILABLE: ("isavailable", "instock", "active", "isactive"),
}  # fmt: skip
USER_ALIASES: Final[Aliases] = {USER: (*_USER, "id")}


FIRST_UNNAMED: Final = "column_0"
"""The first column of text without a header."""


def resolved(
    names: Sequence[str], aliases: Aliases, chosen: Mapping[str, str | Sequence[str]]
) -> dict[str, str]:
    """Contract's name -> the file's name, for the columns that were recognised.

    Interactions of at most four columns without a header are user, item, rating and time.

    Args:
        names: columns of the file.
        aliases: of this kind of table, the surest first.
        chosen: `data.columns`: names to take, in order of preference.
    """
    found: dict[str, str] = {}
    if not chosen and RATING in aliases and list(names[:1]) == [FIRST_UNNAMED] and len(names) <= 4:
        return dict(zip((USER, ITEM, RATING, TIMESTAMP), names, strict=False))
    by_key = {plain(name): name for name in reversed(names)}
    for target, others in aliases.items():
        wanted = chosen.get(target, ())
        wanted = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        candidates = [name for name in wanted if name in names]
        candidates += [name for name in (target,) if name in names]
        candidates += [by_key[key] for key in (plain(target), *others) if key in by_key]
        taken = set(found.values())
        if rest := [name for name in candidates if name not in taken]:
            found[target] = rest[0]
    if ITEM in aliases and ITEM not in found and (USER in found or TITLE in found):
        # `recipe_id` beside a user or a title: the only other id there is.
        ids = [name for name in names if _is_id(name) and name not in found.values()]
        if len(ids) == 1:
            found[ITEM] = ids[0]
    if aliases is INTERACTION_ALIASES and ITEM not in found and USER in found:
        named = next((by_key[one] for one in _NAMED if one in by_key), None)
        found |= {} if named is None else {ITEM: named}
    return found


def _is_id(name: str) -> bool:
    return plain(name).endswith("id") and plain(name) not in _USER


def plain(name: str) -> str:
    """`userId`, `USER_ID`, `user-id`, `user_id:token` -> `userid`."""
    return re.sub(r"[^\w]|_", "", name.strip().lstrip("\ufeff").partition(":")[0]).casefold()
