"""Which dialect of JSON schema each purpose is asked with, learned from the endpoint."""

import logging
from collections import Counter
from typing import Final, Literal

from recsys_core.llm.request.chat_request import AnyChat
from recsys_core.llm.request.json_schema import Dialect, complains_about_format
from recsys_core.llm.transport.base import SendFailed

_LOG: Final = logging.getLogger(__name__)


class Dialects:
    """The dialect per purpose; it is lowered when the endpoint rejects the schema.

    Args:
        mode: `llm.schema_mode`.
        counts: where every lowering is counted.
    """

    def __init__(self, mode: Literal["auto", "always", "never"], counts: Counter[str]) -> None:
        self._mode, self._counts = mode, counts
        self._of: dict[str, Dialect] = {}

    def of(self, chat: AnyChat) -> Dialect:
        """The dialect to send this request with."""
        if self._mode == "never":
            return Dialect.PROMPT
        richest = Dialect.PER_REQUEST if chat.choices else Dialect.BOUNDED
        return self._of.get(chat.purpose, richest)

    def lower(self, chat: AnyChat, used: Dialect, failure: SendFailed) -> bool:
        """Whether the endpoint rejected the schema itself, so that the next dialect is due."""
        rejected = failure.status in {400, 422} and complains_about_format(str(failure))
        if self._mode != "auto" or used is Dialect.PROMPT or not rejected:
            return False
        if self.of(chat) is used:
            self._of[chat.purpose] = Dialect(used + 1)
            self._counts["schema_fallbacks"] += 1
            _LOG.warning("the endpoint rejects the schema", extra={
                "purpose": chat.purpose, "next": Dialect(used + 1).name.lower(),
                "problem": str(failure)[:200],
            })  # fmt: skip
        return True
