"""Parsing and validating a model's answer: pure functions that repair nothing.

Models wrap JSON in code fences, write text before and after it, and reason in tags first. All of
that is skipped; the JSON value itself is never mended: what does not fit the schema, or the
request, is an invalid answer, which goes back to the model with the reason.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

from pydantic import ValidationError

from recsys_core.llm.providers.base import A, Purpose, V
from recsys_core.llm.request.templates import as_json

_TAG: Final = r"(?:think|thinking|thought|reasoning|reflection)"
_THINKING: Final = re.compile(rf"<({_TAG})\b[^>]*>.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_LONE_END: Final = re.compile(rf"\A.*</{_TAG}\s*>", re.DOTALL | re.IGNORECASE)
"""Some servers leave out the tag that opens the reasoning."""
_FENCE: Final = re.compile(r"```[\w-]*[ \t]*\r?\n?(.*?)```", re.DOTALL)
_LONGEST: Final = 400_000
_TRIES: Final = 200
"""Braces that open no JSON; each costs a pass over the text, and a text may hold nothing else."""
_FINDINGS: Final = 5
"""Errors of one answer that the repair call carries; a model gains nothing from fifty."""
_LONGEST_ID: Final = 60
"""Characters that are shown of an id in an error."""


def _no_constant(name: str) -> object:
    # Python's decoder takes NaN and Infinity, which are no JSON and no score.
    raise ValueError(f"{name} is not a JSON value")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)


class InvalidAnswer(ValueError):
    """The answer cannot be used; the message says why, in words that a model can act on."""


class Declined(InvalidAnswer):
    """The model declined; asking it to repair a refusal is of no use."""


def parse(text: str, purpose: Purpose[V, A], variables: V) -> A:
    """The answer in `text`, checked against the schema and against the question.

    Of several JSON objects the last one that fits counts: models draft first and answer last.

    Raises:
        InvalidAnswer: no object fits; the message tells the findings about the last one.
    """
    problem = "it is empty." if not text.strip() else "it holds no JSON object."
    for value in reversed(list(json_objects(text))):
        try:
            # What was not asked for is passed over: it says nothing about what was.
            answer = purpose.answer.model_validate(_encodable(value), extra="ignore")
            _refuse_truth_values(value, answer.model_dump())
            purpose.check(variables, answer)
        except ValidationError as error:
            found = _findings(error)
        except ValueError as error:
            found = str(error)
        else:
            return answer
        problem = found if problem.startswith("it ") else problem
    raise InvalidAnswer(problem)


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost JSON objects in `text`, in order, without those in thinking blocks."""
    whole = _decoded(text)
    if whole is not None:
        yield whole
        return
    text = _LONE_END.sub("", _THINKING.sub("", text[:_LONGEST]))
    fenced = [value for block in _FENCE.findall(text) if (value := _decoded(block)) is not None]
    yield from fenced or _scanned(text)


def _encodable(value: dict[str, Any]) -> dict[str, Any]:
    # JSON can spell half a surrogate pair; Pydantic lets it pass, and no file can hold it.
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds a \\u escape that is no character.") from None
    return value


def _refuse_truth_values(given: object, read: object, place: str = "the answer") -> None:
    """Refuse `true` where a number was asked for: Pydantic would read 1."""
    if isinstance(given, bool) and isinstance(read, int | float) and not isinstance(read, bool):
        raise ValueError(f"{place}: {json.dumps(given)} is no number.")
    if isinstance(given, dict) and isinstance(read, dict):
        for name, one in given.items():
            _refuse_truth_values(one, read.get(name), name)
    if isinstance(given, list) and isinstance(read, list | tuple):
        for one, below in zip(given, read, strict=False):
            _refuse_truth_values(one, below, place)


def _decoded(text: str) -> dict[str, Any] | None:
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], value) if isinstance(value, dict) else None


def _scanned(text: str) -> Iterator[dict[str, Any]]:
    position, last, failed = text.find("{"), len(text.rstrip()), 0
    while position != -1 and failed < _TRIES:
        try:
            value, end = _DECODER.raw_decode(text, position)
        except json.JSONDecodeError as error:
            if error.pos >= last or error.msg.startswith("Unterminated string"):
                return  # the answer is cut off: a part of it is not the answer
            end, failed = position + 1, failed + 1
        except (ValueError, RecursionError):
            end, failed = position + 1, failed + 1
        else:
            yield value
        position = text.find("{", end)


def _findings(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [
        f"{'.'.join(map(str, item['loc'])) or 'the object'}: {item['msg']}"
        for item in found[:_FINDINGS]
    ]
    more = len(found) - len(told)
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "") + "."


def check_ids(asked: Iterable[str], answered: Iterable[str]) -> None:
    """Refuse an answer that does not name exactly the ids that were asked for.

    Raises:
        ValueError: ids are missing, invented or named twice; the first of them are told.
    """
    wanted, given = list(asked), list(answered)
    if sorted(wanted) == sorted(given) and len(set(given)) == len(given):
        return
    asked_for, counts = set(wanted), Counter(given)
    findings = {
        "missing": [one for one in wanted if one not in counts],
        "not asked for": [one for one in counts if one not in asked_for],
        "named twice": sorted(one for one, times in counts.items() if times > 1),
    }
    problems = [f"{what}: {_shown(ids)}" for what, ids in findings.items() if ids]
    raise ValueError(
        f"the ids do not match ({'; '.join(problems)}); give each of these ids once:"
        f" {as_json(wanted)}"
    )


def _shown(ids: Sequence[str]) -> str:
    """Some of the ids, as data: an answer can invent as many and as long ones as it likes."""
    some = as_json([one[:_LONGEST_ID] for one in ids[:_FINDINGS]])
    return f"{some} and {len(ids) - _FINDINGS} more" if len(ids) > _FINDINGS else some
