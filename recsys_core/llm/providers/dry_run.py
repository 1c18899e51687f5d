"""The dry run: the requests of a run are built and counted, and rules answer them."""

from collections import Counter
from typing import Final

import polars as pl

from recsys_core.columns import LLM_CALLS
from recsys_core.llm.accounting.budget import Planned
from recsys_core.llm.accounting.tokens import guess
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.providers.base import A, Reply, Request, Usage, V
from recsys_core.llm.request.chat_request import build_chat_request

_CHARACTERS_PER_TOKEN: Final = 4


class DryRunProvider:
    """Renders every request as the model would get it, and answers by the request's rule.

    Later requests that hold earlier answers (a user's next turn) are thus estimated from texts of
    about the right length. Answers in the cache are not looked up: the counts are an upper bound.
    """

    def __init__(self, config: LLMConfig) -> None:
        self.model = config.model
        self._config = config
        self._keys: set[str] = set()
        self._calls: Counter[str] = Counter()
        self._tokens_in: Counter[str] = Counter()
        self._tokens_out: Counter[str] = Counter()

    async def ask(self, request: Request[V, A]) -> Reply[A]:
        """Count the request; answer it by its rule."""
        chat = build_chat_request(request, self._config)
        answer = request.purpose.rule(request.variables)
        name = request.purpose.name
        if chat.key not in self._keys:
            self._keys.add(chat.key)
            self._calls[name] += 1
            self._tokens_in[name] += guess(chat.messages)
            self._tokens_out[name] += len(answer.model_dump_json()) // _CHARACTERS_PER_TOKEN + 1
        return Reply(answer=answer, model=self.model, prompt_version=chat.prompt_version)

    def usage(self) -> Usage:
        """No call was made."""
        return Usage(calls=pl.DataFrame(schema=dict(LLM_CALLS)))

    def planned(self) -> list[Planned]:
        """The calls that a run would make, by purpose, in the order of their first appearance."""
        return [
            Planned(
                purpose=name,
                calls=calls,
                tokens_in=self._tokens_in[name] / calls,
                tokens_out=self._tokens_out[name] / calls,
            )
            for name, calls in self._calls.items()
        ]
