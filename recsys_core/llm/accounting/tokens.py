"""How many tokens a prompt has, before anyone has counted: from above, then learned.

Three characters of ASCII per token and one token per byte of anything else is more than byte-pair
vocabularies need for prose. Where an endpoint counts more all the same, its highest counts so far
raise the estimate, so that a limit holds and a hard ceiling stays one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

_PER_MESSAGE: Final = 8


def guess(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None = None) -> int:
    """Tokens of a prompt, estimated from above; a schema sent with it counts, too."""
    texts = [message["content"] for message in messages]
    if schema is not None:
        texts.append(str(schema))
    return sum(map(_of_text, texts)) + _PER_MESSAGE * len(messages)


def _of_text(text: str) -> int:
    plain = len(text.encode("ascii", "ignore"))
    other = 0 if plain == len(text) else len(text.encode()) - plain
    return plain // 3 + other + 1


class TokenEstimator:
    """Raises guesses to the most that the endpoint has counted so far."""

    def __init__(self) -> None:
        self._ratio = 1.0
        self._answers: dict[str, int] = {}

    def learn(self, purpose: str, guessed: int, tokens_in: int, tokens_out: int) -> None:
        """Note what a call of `purpose`, whose prompt was guessed at `guessed` tokens, counted."""
        self._ratio = max(self._ratio, tokens_in / guessed)
        self._answers[purpose] = max(self._answers.get(purpose, 0), tokens_out)

    def prompt(self, guessed: int) -> int:
        """Most tokens that a prompt guessed at `guessed` will count."""
        return math.ceil(guessed * self._ratio)

    def answer(self, purpose: str, longest: int) -> int:
        """Tokens to expect of an answer: the longest so far, and before the first one the limit."""
        return min(longest, self._answers.get(purpose, longest))
