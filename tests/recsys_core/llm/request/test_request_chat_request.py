"""A request is built once; whatever shapes its answer is part of its key."""

import pytest

from recsys_core.llm.config import LLMConfig
from recsys_core.llm.request import templates as prompts
from recsys_core.llm.request.chat_request import ChatRequest, build_chat_request, repair_request
from recsys_core.llm.request.json_schema import Dialect
from recsys_core.llm.request.parsing import Declined, InvalidAnswer
from recsys_core.llm.transport.base import Completion
from tests.recsys_core.llm.llm_world import ECHO, Echo, Word, echo

GOOD = '{"word": "x", "rows": [{"id": "text"}]}'
CONFIG = LLMConfig(model="openai/m")


def chat(word: str = "a", **fields: object) -> ChatRequest[Word, Echo]:
    return build_chat_request(echo(word), CONFIG.model_copy(update=fields))


def test_the_key_holds_what_shapes_the_answer_and_nothing_else() -> None:
    keys = {chat().key, chat("b").key, chat(model="openai/n").key, chat(seed=1).key}
    keys.add(repair_request(chat(), "{}", "empty").key)
    assert chat(max_in_flight=2, timeout_s=3.0).key in keys
    (prompts.FOLDER / "echo.yaml").write_text(ECHO.replace("echo-1", "echo-2"))
    prompts._load.cache_clear()
    keys.add(chat().key)
    assert len(keys) == 6


def test_the_key_is_that_of_earlier_versions() -> None:
    # Answers that were paid for stay valid: a changed key would buy them again.
    assert chat().key == "464359d0fc160717e8d25c9edca06f9070af6c4f426ef6ef73460351074e88e3"


def test_a_payload_writes_the_schema_where_the_dialect_wants_it() -> None:
    asked = chat()
    bounded, prompted = asked.payload(Dialect.BOUNDED), asked.payload(Dialect.PROMPT)
    assert bounded.response_format is not None
    assert bounded.messages == asked.messages
    assert prompted.response_format is None
    assert "JSON schema" in prompted.messages[0]["content"]
    assert bounded.key == prompted.key == asked.key


@pytest.mark.parametrize(
    ("completion", "first", "second"),
    [
        (Completion(text=GOOD), "ok", "repaired"),
        (Completion(text="{}"), "invalid", "failed"),
        (Completion(text="", refusal="no"), "refused", "refused"),
    ],
)
def test_verdicts(completion: Completion, first: str, second: str) -> None:
    assert chat().verdict(completion) == first
    assert repair_request(chat(), "", "x").verdict(completion) == second


def test_what_was_cut_off_is_told_so() -> None:
    assert chat().read(Completion(text=GOOD, cut=True)).word == "x"
    with pytest.raises(InvalidAnswer, match="cut off"):
        chat().read(Completion(text="{", cut=True))
    with pytest.raises(Declined, match="declined"):
        chat().read(Completion(text=GOOD, refusal="never"))
