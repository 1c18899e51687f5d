"""Secrets are refused in every address of the configuration, and blanked in texts of others."""

import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.config import RunConfig, load_config
from recsys_core.errors import ConfigError
from recsys_core.redaction import BLANK, blanked, secret_in
from recsys_core.section import Section

PASSWORD = "hunter2-hunter2"
ADDRESSES = [
    f"https://user:{PASSWORD}@host/v1", f"https://{PASSWORD}@host/v1",
    f"s3://AKIAABCDEFGHIJKLMNOP:{PASSWORD}@bucket/data", f"user:{PASSWORD}@host/v1",
    f"https://host/v1?api_key={PASSWORD}", f"https://host/data?X-Amz-Signature={PASSWORD}",
    f"az://box/data?sv=1&sig={PASSWORD}", f"postgresql://user:{PASSWORD}@host/db",
    "https://host/sk-abcdefghijklmnopqrstuvwx/v1",
    f"HTTPS://{PASSWORD}@host/v1", f" https://{PASSWORD}@host/v1", f"git+https://{PASSWORD}@host/x",
    f"https://host/v1#access_token={PASSWORD}", f"https://host/v1;password={PASSWORD}",
    f"https://host/data?x=1;api_key={PASSWORD}", f"host/v1?api_key={PASSWORD}",
    f"https://user%3A{PASSWORD}%40host/v1", f"//user:{PASSWORD}@host/v1",
    f"https:\\\\user:{PASSWORD}@host", f"https://host/a,https://user:{PASSWORD}@host/b",
    f"host=db user=me password={PASSWORD}", f"https://host/%3Ftoken%3D{PASSWORD}",
    f"ftp://me:{PASSWORD}@host/x", f"redis://:{PASSWORD}@host/0",
    "https://host/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl/v1",
    "https://host/glpat-abcdefghijklmnopqrst/v1",
]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_secrets_in_addresses_are_found(address: str) -> None:
    found = secret_in(address)
    assert found is not None
    assert PASSWORD not in found


@pytest.mark.parametrize(
    "address",
    ["/data/me@work/x", "data/a@b", "ml-100k", "http://127.0.0.1:8000/v1", "sqlite:///x/llm.sqlite",
     "postgresql://u:$PW@host/db", "s3://bucket/prefix?region=eu-west-1", "$LLM_CACHE",
     "https://host/v1?api-version=2024", "openai/gpt-4.1-mini", "tcp://scheduler:8786",
     "host=db user=me password=$PW", "https://host/v1?api_key=${KEY}", "data//films", "C:\\\\data",
     "https://host/films#page=2", "a = b", "ssh://me@host/data", "https://host/100%25"],
)  # fmt: skip
def test_addresses_without_secrets_pass(address: str) -> None:
    assert secret_in(address) is None


def text_fields(kind: type[Section], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, field in kind.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, Section):
            found += text_fields(annotation, (*path, name))
        elif "str" in str(annotation) and "Literal" not in str(annotation):
            found.append((*path, name))
    return found


FIELDS = text_fields(RunConfig)


def nested(path: tuple[str, ...], value: str) -> dict[str, object]:
    first, *rest = path
    return {first: nested(tuple(rest), value) if rest else value}


@pytest.mark.parametrize("path", FIELDS, ids=".".join)
@pytest.mark.parametrize("address", ADDRESSES[:6:5])
def test_no_text_of_the_configuration_takes_a_secret_or_repeats_it(
    path: tuple[str, ...], address: str
) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(None, nested(path, address))
    assert PASSWORD not in str(error.value)
    with pytest.raises(ValidationError) as raw:
        RunConfig.model_validate(nested(path, address))
    assert PASSWORD not in str(raw.value)


def test_the_fields_that_take_addresses_are_among_them() -> None:
    assert {("llm", "api_base"), ("data", "source"), ("artifact_root",)} <= set(FIELDS)


@pytest.mark.parametrize("given", [
    {"columns": {"user_id": f"https://me:{PASSWORD}@host/"}},
    {"columns": {"user_id": ("u", f"https://me:{PASSWORD}@host/")}},
    {"text_columns": {f"https://me:{PASSWORD}@host/": "prose"}},
])  # fmt: skip
def test_nor_do_texts_in_tables_and_lists(given: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="a user or a password") as error:
        load_config(None, {"data": given})
    assert PASSWORD not in str(error.value)


def test_a_key_given_under_a_wrong_name_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as error:
        load_config(None, {"llm": {"api_key": PASSWORD}})
    assert "llm.api_key" in str(error.value)
    assert PASSWORD not in str(error.value)


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)
FORMS = [
    str, json.dumps, repr, urllib.parse.quote, lambda one: urllib.parse.quote(one, safe=""),
    lambda one: json.dumps(json.dumps(one)), lambda one: json.dumps(one).replace("/", "\\/"),
    lambda one: "".join(f"\\u{ord(c):04x}" for c in one),
    lambda one: "".join(f"\\u{ord(c):04X}" for c in one),
]  # fmt: skip


@given(SECRETS, st.sampled_from(FORMS))
def test_a_known_secret_is_blanked_in_every_form(secret, form) -> None:
    told = blanked(f"key {form(secret)} is wrong", [secret])
    assert BLANK in told
    assert form(secret).strip("'\"") not in told


@given(SECRETS, st.data())
def test_a_secret_cut_off_by_the_end_of_a_text_is_blanked(secret, data) -> None:
    shown = data.draw(st.integers(8, len(secret)))
    assert blanked(f"wrong key: {secret[:shown]}", [secret]) == f"wrong key: {BLANK}"


def test_passwords_and_tokens_of_others_are_blanked() -> None:
    text = "GET https://me:pw@host/ with Bearer abcdefghijkl and sk-abcdefghijklmnopqrstuv failed"
    assert blanked(text) == f"GET https://{BLANK}@host/ with Bearer {BLANK} and {BLANK} failed"
    text = "https://host/#access_token=abcdef;x=1 and host=db password=hunter2 failed"
    assert blanked(text) == (
        f"https://host/#access_token={BLANK};x=1 and host=db password={BLANK} failed"
    )
    plain = "Mail to a film about https://host/x?y=1, 5 > 3."
    assert blanked(plain) == plain
