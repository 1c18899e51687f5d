"""What a step leaves in Prefect's storage is read back as what it was, by nothing but us."""

import pytest

from recsys_core.errors import LLMDown, SourceUnavailable
from tasks.runtime.server.result_records import ForeignRecord, ReferenceSerializer

SERIALIZER = ReferenceSerializer()


@pytest.mark.parametrize("error", [LLMDown("a", expected="b", fix="c"), SourceUnavailable("x")])
def test_errors_of_the_library_survive(error) -> None:
    again = SERIALIZER.loads(SERIALIZER.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)


def test_other_errors_keep_their_text() -> None:
    assert str(SERIALIZER.loads(SERIALIZER.dumps(KeyError("k")))) == "KeyError: 'k'"


@pytest.mark.parametrize(
    "blob", [b"", b"[]", b"{}", b'["os.system", {}]', b'["error", "LLMDown", []]', b"[" * 9999]
)
def test_anything_else_is_refused(blob: bytes) -> None:
    with pytest.raises((ForeignRecord, ValueError)):
        SERIALIZER.loads(blob)
