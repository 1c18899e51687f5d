"""What the service answers with: a model, the answers that are kept, and the next model."""

import json
import logging
import threading
from functools import lru_cache
from typing import Annotated, Any, Final

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field

from recsys_core.columns import MAX_ID_CHARS
from recsys_core.errors import RecsysError
from recsys_core.serving.people import MOST_RATINGS, known_user, rated_rows
from recsys_core.serving.person import People, PersonalList
from recsys_core.serving.product.loading import open_model
from recsys_core.serving.product.pointer import product_of
from recsys_core.serving.visitors import FOLDED_IN, KNOWN, NOTHING_KNOWN, typed_attributes

_KEPT: Final = 10_000
"""Answers to known users that are kept, of about 4 kB each."""
_STATUS: Final = {
    KNOWN: "placed by the training",
    FOLDED_IN: "placed by ratings, without training",
    NOTHING_KNOWN: "nothing is known yet: what is popular",
}

logger = logging.getLogger("recsys.serve")


class Rated(BaseModel):
    """One rating: of a title or of an item."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(max_length=500)] | None = None
    item_id: int | Annotated[str, Field(max_length=MAX_ID_CHARS)] | None = None
    rating: float | None = None
    timestamp: int | None = None


Attribute = int | float | bool | Annotated[str, Field(max_length=500)]


class Asked(BaseModel):
    """For whom: a known user, or somebody with attributes and a history; both: a user with more."""

    model_config = ConfigDict(extra="forbid")

    user: int | Annotated[str, Field(max_length=200)] | None = None
    attributes: Annotated[dict[str, Attribute], Field(max_length=100)] | None = None
    """What is known of the user beside ratings, by the columns of the data's table of users."""
    history: Annotated[list[Rated], Field(max_length=MOST_RATINGS)] | None = None
    k: Annotated[int, Field(ge=1, le=100)] = 10


class Answering:
    """Answers of one model, those of known users kept: nothing of them changes while it serves.

    Args:
        people: the model's.
    """

    def __init__(self, people: People) -> None:
        self.people, self.model = people, people.model
        self.of_user = lru_cache(maxsize=_KEPT)(self._of_user)

    def answer(self, asked: Asked) -> bytes:
        """The list of a known user, or of whoever sends a history or attributes, as JSON.

        Raises:
            HTTPException: the user is not known, or nobody is named.
            DataError: a rating or an attribute cannot be used.
        """
        user = None
        if asked.user is not None:
            user = known_user(self.model, asked.user)
            if user is None:
                raise HTTPException(404, f"The model knows no user {asked.user!r}.")
        elif asked.history is None and asked.attributes is None:
            raise HTTPException(422, "Give a `user`, a `history`, `attributes`, or several.")
        if user is not None and not asked.history and not asked.attributes:
            return self.of_user(user, asked.k)
        rows = [one.model_dump(exclude_none=True) for one in asked.history or ()]
        told = typed_attributes(self.model, asked.attributes, user) if asked.attributes else None
        return self._told(self.people.of_ratings(rated_rows(self.model, rows), asked.k, user, told))

    def _of_user(self, user: Any, k: int) -> bytes:
        return self._told(self.people.of_user(user, k))

    def _told(self, found: PersonalList) -> bytes:
        told = {
            "model": self.model.content_hash[:16],
            "status": _STATUS[found.status],
            "items": [vars(one) for one in found.entries],
        }
        return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


class Models:
    """The model that answers, exchanged as a whole when a newer one serves.

    Args:
        place: as `open_model` takes it.
        runs_root: folder of the runs.
    """

    def __init__(self, place: str, runs_root: str) -> None:
        self._place, self._runs_root = place, runs_root
        self._stop = threading.Event()
        self.answering = Answering(People(open_model(place, runs_root)))

    def look(self) -> bool:
        """Load another model if another one serves now; whether it was."""
        try:
            if product_of(self._place, self._runs_root) == self.answering.model.uri:
                return False
            self.answering = Answering(People(open_model(self._place, self._runs_root)))
        except RecsysError as error:
            # Whoever is served stays served; the reason is told until it is mended.
            logger.warning("The model stays as it is: %s", error.seen)
            return False
        logger.info("Now serving %s", self.answering.model.uri)
        return True

    def watch(self, seconds: float) -> None:
        """Look again and again, in a thread of its own."""

        def run() -> None:
            while not self._stop.wait(seconds):
                self.look()

        threading.Thread(target=run, daemon=True, name="newer-model").start()

    def stop(self) -> None:
        """End the looking."""
        self._stop.set()
