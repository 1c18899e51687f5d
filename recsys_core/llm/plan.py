"""From a few sample requests to the plan that `budget.estimate` prices."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from recsys_core.config import LLMConfig
from recsys_core.llm.budget import Planned
from recsys_core.llm.question import ask_for
from recsys_core.llm.schemas import schema_of
from recsys_core.llm.tokens import guess
from recsys_core.llm.types import Request


def plan(
    sample: Sequence[Request[Any, Any]], config: LLMConfig, *, calls: int, chain: int = 1
) -> Planned:
    """`calls` calls like those in `sample` (one purpose, at least one request), from above.

    Prompts are rendered and their tokens guessed; every answer is taken to be as long as its
    prompt file allows. `chain` calls must follow one another (the turns of one user).

    Raises:
        ConfigError: a prompt does not fit its variables.
    """
    questions = [ask_for(request, config) for request in sample]
    return Planned(
        purpose=questions[0].purpose,
        calls=calls,
        tokens_in=mean(guess(one.messages, schema_of(one.answer)) for one in questions),
        tokens_out=mean(one.longest for one in questions),
        chain=chain,
    )
