"""The errors of the library, one small tree.

RecsysError
├── InputError            what the user gave cannot be used; trying again changes nothing
│   ├── ConfigError       a parameter, or two that contradict each other
│   └── DataError         a file of interactions, items, profiles or recommendations
├── StorageError          the artifact root or the run folder cannot be read or written
│   └── DamagedArtifact   an artifact is missing, truncated or altered
├── SourceUnavailable     a remote source did not answer (worth a retry)
├── TrainingError         the loss became NaN or the model collapsed
└── LLMError              a language model gave no usable answer
    ├── LLMUnavailable    time-out, connection reset, 429 or 5xx after all attempts
    └── LLMStopped        no further call may be made: the run ends, what was bought is kept
        ├── LLMDown       unavailable, and the configuration says to stop then (llm.on_unavailable)
        ├── LLMRefused    the endpoint rejected the request or the key (no retries)
        └── BudgetExceeded  the ceiling in dollars or tokens is reached

Each message has three parts: what was seen, what was expected, and what to do about it.
"""

from typing import ClassVar


class RecsysError(Exception):
    """Root of the tree.

    Args:
        seen: what was found, with the value and the place.
        expected: what would have been right.
        fix: what the reader should do next.
    """

    retryable: ClassVar[bool] = False

    def __init__(self, seen: str, *, expected: str = "", fix: str = "") -> None:
        self.seen, self.expected, self.fix = seen, expected, fix
        parts = [seen, expected and f"Expected: {expected}", fix and f"To fix it: {fix}"]
        super().__init__("\n  ".join(part for part in parts if part))

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by Exception's own reduce; errors cross process borders.
        return (_rebuild, (type(self), self.seen, self.expected, self.fix))


def _rebuild(kind: type[RecsysError], seen: str, expected: str, fix: str) -> RecsysError:
    return kind(seen, expected=expected, fix=fix)


class InputError(RecsysError):
    """What the user gave cannot be used."""


class ConfigError(InputError):
    """A parameter is wrong, or two contradict each other."""


class DataError(InputError):
    """A data file breaks its contract."""


class StorageError(RecsysError):
    """The artifact root or the run folder cannot be read or written."""


class DamagedArtifact(StorageError):
    """An artifact is missing, truncated or altered."""


class SourceUnavailable(RecsysError):
    """A remote source did not answer."""

    retryable = True


class TrainingError(RecsysError):
    """The loss became NaN, or the model collapsed."""


class LLMError(RecsysError):
    """A language model gave no usable answer."""


class LLMUnavailable(LLMError):
    """No answer after all attempts: time-out, reset, 429 or 5xx.

    Not worth a retry of a whole step: the client has made every attempt that the configuration
    allows, and it is the one owner of retries.
    """


class LLMStopped(LLMError):
    """The run ends here: no valid answer where the configuration wants one, or too few of them.

    Never to be survived by a strategy or a writer of reasons: every further call would be in vain,
    or is not wanted. What was bought so far is kept.
    """


class LLMDown(LLMUnavailable, LLMStopped):
    """The endpoint does not answer, and the configuration says to end the run then."""


class LLMRefused(LLMStopped):
    """The endpoint rejected the request or the key; trying again changes nothing."""


class BudgetExceeded(LLMStopped):
    """The ceiling in dollars or tokens is reached; everything bought so far is kept."""
