"""Secrets: refused in addresses of the configuration, blanked in texts that others wrote."""

import re
import urllib.parse
from collections.abc import Iterable
from typing import Final

BLANK: Final = "***"
SHORTEST: Final = 8
"""Characters of the shortest key: local servers take any word, and blanking "x" ruins texts."""

_NAMES: Final = re.compile(
    r"(key|token|secret|password|passwd|pwd|credential|signature|^sig$|auth|^sv$|sas)", re.I
)
_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{16,}|(AKIA|ASIA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|hf_[A-Za-z0-9]{20,}|xox[a-z]-[A-Za-z0-9-]{16,}|AIza[A-Za-z0-9_-]{30,})"
)
_USERINFO: Final = re.compile(r"(?P<before>(?:\w[\w+.-]*:)?//|^|[\s'\"=])(?P<user>[^/?#@\s'\"]+)@")
_BEARER: Final = re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9+/=._~-]{8,}", re.I)
_IN_QUERY: Final = re.compile(
    r"(?P<name>[?&][^=&#\s]*(?:key|token|secret|passw|credential|sig)[^=&#\s]*=)[^&#\s'\"]+", re.I
)
_NO_USERS: Final = frozenset({"http", "https", "s3", "gs", "gcs", "abfs", "abfss"})
"""Schemes whose user names are keys, too."""
_VARIABLE: Final = re.compile(r"\$(\w+|\{\w+\})")


def secret_in(address: str) -> str | None:
    """What in an address (a URI or a path) is a secret, in words; None where nothing is.

    A `$NAME` that the environment fills in later is none.
    """
    if _KEY.search(address):
        return "what looks like a key"
    scheme, found, rest = address.partition("://")
    place = re.split(r"[/?#]", rest if found else address, maxsplit=1)[0]
    user, at, _ = place.rpartition("@")
    name, colon, password = user.partition(":")
    secret_user = colon or scheme in _NO_USERS
    given = at and (colon or found) and not _VARIABLE.fullmatch(password if colon else name)
    if given and secret_user:
        return "a user or a password before `@`"
    if not found:
        return None
    query = rest.partition("?")[2].partition("#")[0]
    for part, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if _NAMES.search(part) and not _VARIABLE.fullmatch(value):
            return f"a secret after `?` ({part})"
    return None


def blanked(text: str, secrets: Iterable[str] = ()) -> str:
    r"""`text` without secrets; call it before a text is cut, never after.

    Every known secret goes in whatever form it is written: plain, escaped for JSON (`\/`,
    `\u002f`), quoted for URLs, and cut off at the text's end. So do passwords in URLs, bearer
    tokens and what has the form of a well-known key.
    """
    text = known_blanked(text, secrets)
    text = _USERINFO.sub(lambda found: f"{found['before']}{BLANK}@", text) if "@" in text else text
    text = _IN_QUERY.sub(rf"\g<name>{BLANK}", text)
    return _KEY.sub(BLANK, _BEARER.sub(rf"\1\2{BLANK}", text))


def known_blanked(text: str, secrets: Iterable[str]) -> str:
    """`text` without these secrets, in any form; nothing else is touched."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            text = _in_any_form(secret).sub(BLANK, text)
            text = _without_its_beginning(text, secret)
    return text


def _in_any_form(secret: str) -> re.Pattern[str]:
    return re.compile("".join(map(_character, secret)))


def _character(one: str) -> str:
    forms = [re.escape(one), rf"\\+{re.escape(one)}"]
    forms += [rf"\\+[uU](?:0000)?{_hexadecimal(f'{ord(one):04x}')}", rf"\\+x{_byte(one)}"]
    forms += ["".join(f"%{_hexadecimal(f'{byte:02x}')}" for byte in one.encode(errors="replace"))]
    return f"(?:{'|'.join(forms)})"


def _byte(one: str) -> str:
    return _hexadecimal(f"{ord(one):02x}")


def _hexadecimal(digits: str) -> str:
    return "".join(f"[{d}{d.upper()}]" if d.isalpha() else d for d in digits)


def _without_its_beginning(text: str, secret: str) -> str:
    for length in range(min(len(secret) - 1, len(text)), SHORTEST - 1, -1):
        if text.endswith(secret[:length]):
            return text[:-length] + BLANK
    return text
