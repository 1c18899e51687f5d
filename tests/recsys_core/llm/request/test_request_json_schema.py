import json
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from recsys_core.llm.request.json_schema import (
    Dialect,
    complains_about_format,
    response_format,
    schema_of,
)


class Inner(BaseModel):
    title: str = Field(max_length=5)
    kind: Literal["a", "b"] = "a"


class Outer(BaseModel):
    properties: list[Inner] = Field(default=[], max_length=2)
    score: float = Field(ge=0, le=100)
    format: str | None = None


def test_strict_mode_requires_everything_and_allows_nothing_else() -> None:
    schema = schema_of(Outer)
    inner = schema["$defs"]["Inner"]
    assert schema["required"] == ["properties", "score", "format"]
    assert inner["required"] == ["title", "kind"]
    assert schema["additionalProperties"] is inner["additionalProperties"] is False


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = schema_of(Outer)
    assert set(schema["properties"]) == {"properties", "score", "format"}
    assert set(schema["$defs"]["Inner"]["properties"]) == {"title", "kind"}
    assert "title" not in schema["properties"]["score"]


def test_dialects_go_from_bounded_to_none() -> None:
    bounded = json.dumps(response_format(Outer, Dialect.BOUNDED))
    unbounded = json.dumps(response_format(Outer, Dialect.UNBOUNDED))
    for bound in ("maxLength", "maxItems", "maximum"):
        assert bound in bounded
        assert bound not in unbounded
    assert '"format"' in unbounded
    assert response_format(Outer, Dialect.PROMPT) is None


@pytest.mark.parametrize(
    ("message", "complains"),
    [("Invalid schema for response_format 'A'", True), ("json_schema is not supported", True),
     ("'maxLength' is not permitted in the schema", True), ("context length exceeded", False)],
)  # fmt: skip
def test_a_rejected_schema_is_recognised(message: str, complains: bool) -> None:
    assert complains_about_format(message) is complains
