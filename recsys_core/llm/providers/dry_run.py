"""The dry run: the requests of a run are built and counted, new ones and cached ones."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import polars as pl

from recsys_core.columns import LLM_CALLS
from recsys_core.llm.accounting.budget import Planned
from recsys_core.llm.accounting.tokens import likely
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.providers.base import A, Reply, Request, Usage, V
from recsys_core.llm.request.chat_request import build_chat_request
from recsys_core.llm.request.parsing import Declined, InvalidAnswer
from recsys_core.llm.store.answers import AnswerCache

_CHARACTERS_PER_TOKEN: Final = 4


class DryRunProvider:
    """Renders every request as the model would get it; the cache of answers or a rule answers.

    Later requests that hold earlier answers (a user's next turn) are thus the real ones as far as
    answers are cached, and about as long as the real ones beyond.

    Args:
        config: the model.
        cache: answers that were given before; None looks up none.
    """

    def __init__(self, config: LLMConfig, cache: AnswerCache | None = None) -> None:
        self.model = config.model
        self._config, self._cache = config, cache
        self._keys: set[str] = set()
        self._calls: Counter[str] = Counter()
        self._cached: Counter[str] = Counter()
        self._tokens_in: Counter[str] = Counter()
        self._tokens_out: Counter[str] = Counter()

    async def ask(self, request: Request[V, A]) -> Reply[A]:
        """Count the request as cached or as new."""
        chat = build_chat_request(request, self._config)
        known = await self._cache.get(chat.key) if self._cache else None
        answer = request.purpose.rule(request.variables)
        name = request.purpose.name
        if chat.key not in self._keys:
            self._keys.add(chat.key)
            if known is not None:
                self._cached[name] += 1
            else:
                self._calls[name] += 1
                self._tokens_in[name] += likely(chat.messages)
                self._tokens_out[name] += len(answer.model_dump_json()) // _CHARACTERS_PER_TOKEN + 1
        if known is not None:
            with suppress(Declined, InvalidAnswer):  # then the rule answers here as there
                answer = chat.read(known)
        return Reply(answer=answer, model=self.model, prompt_version=chat.prompt_version)

    def kept(self, answers: Mapping[str, int]) -> None:
        """Count the answers of a step that is done already."""
        self._cached.update(answers)

    def usage(self) -> Usage:
        """No call was made."""
        return Usage(calls=pl.DataFrame(schema=dict(LLM_CALLS)))

    def planned(self) -> list[Planned]:
        """The calls that a run would make, and those it would not, by purpose."""
        return [
            Planned(
                purpose=name,
                calls=calls,
                cached=self._cached[name],
                tokens_in=self._tokens_in[name] / max(calls, 1),
                tokens_out=self._tokens_out[name] / max(calls, 1),
            )
            for name in dict.fromkeys((*self._cached, *self._calls))
            for calls in (self._calls[name],)
        ]
