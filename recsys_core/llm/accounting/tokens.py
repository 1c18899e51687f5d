"""How many tokens a text has, before anyone has counted: from above, then learned.

Vocabularies of byte pairs need at most four tokens for five small letters of a word (seldom ones at
random) and one per byte of anything else: digits, capitals, marks, other scripts. The space
before a letter belongs to its word. That is three times what prose needs, and never less than ids
of any kind do. Where an endpoint counts more all the same, its highest counts so far raise the
estimate, so that a limit holds and a hard ceiling stays one.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_PER_MESSAGE: Final = 8
_SMALL: Final = re.compile(" ?[a-z]+")
_SPACE_BEFORE_CAPITAL: Final = re.compile("(?<! ) (?=[A-Z])")
_WORD: Final = re.compile("[A-Za-z]+")
_WORDS_PER_TOKEN: Final = 4
"""No vocabulary has tokens that reach over more than a few words."""


def guess(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None = None) -> int:
    """Tokens of a prompt, estimated from above; a schema sent with it counts, too."""
    texts = [message["content"] for message in messages]
    if schema is not None:
        texts.append(str(schema))
    return sum(map(_of_text, texts)) + _PER_MESSAGE * len(messages)


def likely(messages: Sequence[Mapping[str, str]]) -> int:
    """Tokens that a prompt will have, for an estimate of a run: three characters of ASCII each."""
    texts = [message["content"] for message in messages]
    plain = [len(text.encode("ascii", "ignore")) for text in texts]
    other = [len(text.encode()) - length for text, length in zip(texts, plain, strict=True)]
    return sum(plain) // 3 + sum(other) + _PER_MESSAGE * len(messages)


def believable(tokens: int, *texts: str) -> bool:
    """Whether such texts can have so few tokens."""
    words = sum(len(_WORD.findall(text)) for text in texts)
    return tokens * _WORDS_PER_TOKEN >= words and (tokens > 0 or not any(texts))


def _of_text(text: str) -> int:
    small = [len(one.lstrip(" ")) for one in _SMALL.findall(text)]
    rest = len(_SMALL.sub("", text).encode(errors="replace"))
    free = len(_SPACE_BEFORE_CAPITAL.findall(text))
    return sum((4 * letters + 4) // 5 for letters in small) + rest - free + 1


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
