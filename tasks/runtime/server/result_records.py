"""Prefect's records of finished steps: references in JSON, read by our serializer and no other.

A record names the serializer that reads it, and Prefect follows: a record that was planted in the
storage folder could choose pickle, or JSON with a decoder that calls any function, and run code. So
a record that does not name ours is refused before anything of it is read; the step then takes
its artifact by content key, or is done again.
"""

import json
from typing import Any, Final, TypeVar

from prefect._internal.result_records import ResultRecord
from prefect.serializers import Serializer

from recsys_core.artifacts import ArtifactRef
from recsys_core.errors import RecsysError

TYPE: Final = "recsys-reference"
T = TypeVar("T")
_ERROR: Final = "error"
_LONGEST: Final = 100_000
"""Characters of the longest record; a reference has some hundred."""


class ForeignRecord(ValueError):
    """A record that this project did not write."""


class ReferenceSerializer(Serializer):  # a subscripted one cannot be registered
    """References to artifacts as JSON; reading one checks the files it names."""

    type: str = TYPE

    def dumps(self, obj: Any) -> bytes:
        """The reference and the name of its type; of an error, its parts."""
        if isinstance(obj, BaseException):
            parts = (
                [obj.seen, obj.expected, obj.fix] if isinstance(obj, RecsysError) else [str(obj)]
            )
            return json.dumps([_ERROR, type(obj).__name__, parts]).encode()
        return json.dumps([type(obj).__name__, obj.model_dump(mode="json")]).encode()

    def loads(self, blob: bytes) -> Any:
        """The reference, of one of the types that this project has.

        Raises:
            ForeignRecord: it is none.
            ValidationError: the artifact is missing, truncated or altered.
        """
        try:
            kind, fields, *parts = json.loads(blob[:_LONGEST])
            if kind == _ERROR:
                return _error(str(fields), [str(one) for one in parts[0]])
            return _kinds(ArtifactRef)[kind].model_validate(fields)
        except (KeyError, IndexError, TypeError, RecursionError, json.JSONDecodeError) as error:
            raise ForeignRecord(f"no reference to an artifact: {error!r}") from None


def _error(name: str, parts: list[str]) -> BaseException:
    """An error of the library as it was; of any other, its text."""
    kind = _kinds(RecsysError).get(name)
    if kind is None:
        return RuntimeError(f"{name}: {parts[0]}")
    return kind(parts[0], expected=parts[1], fix=parts[2])


def _kinds(base: type[T]) -> dict[str, type[T]]:
    """A type and all that are derived from it, by name."""
    found, left = {}, [base]
    while left:
        kind = left.pop()
        found[kind.__name__] = kind
        left += kind.__subclasses__()
    return found


def read_only_our_records() -> None:
    """Make Prefect refuse records of other serializers; done once, however often it is called."""
    for name, place in (("deserialize", 0), ("deserialize_from_result_and_metadata", 1)):
        before = ResultRecord.__dict__[name].__func__
        if not hasattr(before, "checked"):
            setattr(ResultRecord, name, classmethod(_checked(before, place)))


def _checked(before: Any, place: int) -> Any:
    def read(cls: type[Any], *args: Any, **kwargs: Any) -> Any:
        names = ("data",) if place == 0 else ("result", "metadata")
        raw = args[place] if len(args) > place else kwargs[names[place]]
        _check(raw)
        return before(cls, *args, **kwargs)

    read.checked = True  # type: ignore[attr-defined]
    return read


def _check(raw: bytes) -> None:
    try:
        found = json.loads(raw[:_LONGEST])
        metadata = found.get("metadata", found)
        serializer = metadata["serializer"]["type"]
        extra = {"data", "serializer"} & set(found) if metadata is not found else set()
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ForeignRecord(f"a stored result cannot be read: {error!r}") from None
    if serializer != TYPE or extra:
        raise ForeignRecord(f"a stored result wants to be read by {serializer!r}")
