"""Secrets: refused in addresses of the configuration, blanked in texts that others wrote."""

import re
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Final

BLANK: Final = "***"
SHORTEST: Final = 8
"""Characters of the shortest key: local servers take any word, and blanking "x" ruins texts."""

_NAMES: Final = re.compile(
    r"(key|token|secret|password|passwd|pwd|credential|signature|^sig$|auth|^sv$|sas)", re.I
)
_KEY: Final = re.compile(
    r"(?<![A-Za-z0-9])(sk-[A-Za-z0-9_-]{16,}|(AKIA|ASIA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|npm_[A-Za-z0-9]{30,}"
    r"|hf_[A-Za-z0-9]{20,}|xox[a-z]-[A-Za-z0-9-]{16,}|AIza[A-Za-z0-9_-]{30,}|ya29\.[\w-]{20,}"
    r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|SG\.[\w-]{16,}\.[\w-]{16,}"
    r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+|-----BEGIN [A-Z ]*PRIVATE KEY-----)"
)
_USERINFO: Final = re.compile(r"(?P<before>(?:\w[\w+.-]*:)?//|^|[\s'\"=])(?P<user>[^/?#@\s'\"]+)@")
_BEARER: Final = re.compile(r"\b(Bearer|Basic)(\s+)[A-Za-z0-9+/=._~-]{8,}", re.I)
_IN_QUERY: Final = re.compile(
    r"(?P<name>(?:[?&;#][^=&;#\s]*(?:key|token|secret|passw|credential|sig)[^=&;#\s]*"
    r"|\b(?:password|passwd|pwd))=)[^&;#\s'\"]+",
    re.I,
)
_NO_USERS: Final = frozenset({"http", "https", "s3", "gs", "gcs", "abfs", "abfss"})
"""Schemes whose user names are keys, too."""
_START: Final = re.compile(r"(?:(?P<scheme>[A-Za-z][\w+.-]*):)?[/\\]{2}")
"""Where an address begins."""
_PARAMETER: Final = re.compile(r"(?P<mark>[?&;#])(?P<name>[^=&;#?]*)=(?P<value>[^&;#]*)")
_SETTING: Final = re.compile(r"(?P<mark>^|\s)(?P<name>[A-Za-z_]+)\s*=\s*(?P<value>[^\s]+)")
"""Of a connection string: `host=db password=...`."""
_VARIABLE: Final = re.compile(r"\$(\w+|\{\w+\})")


def secret_in(address: str) -> str | None:
    """What in an address (a URI, a path, a connection string) is a secret, in words; None for none.

    Several addresses in one text, quoted characters (`%40`) and parameters after `?`, `;` or `#`
    are looked at, too. A `$NAME` that the environment fills in later is no secret.
    """
    for form in (address, urllib.parse.unquote(address)):
        if _KEY.search(form):
            return "what looks like a key"
        if any(_is_user_told(*part) for part in _authorities(form)):
            return "a user or a password before `@`"
        for found in (*_PARAMETER.finditer(form), *_SETTING.finditer(form)):
            if _NAMES.search(found["name"]) and not _VARIABLE.fullmatch(found["value"]):
                return f"a secret ({found['name']})"
    return None


def _authorities(text: str) -> Iterator[tuple[str, str]]:
    """Scheme and `user@host` of every address in a text; what stands before the first has none."""
    found = list(_START.finditer(text))
    ends = [*(one.start() for one in found), len(text)]
    rests = [("", text[: ends[0]])]
    rests += [
        (one["scheme"] or "", text[one.end() : to]) for one, to in zip(found, ends[1:], strict=True)
    ]
    for scheme, rest in rests:
        yield scheme, re.split(r"[/\\?#]", rest, maxsplit=1)[0]


def _is_user_told(scheme: str, authority: str) -> bool:
    user, at, _ = authority.rpartition("@")
    name, colon, password = user.partition(":")
    if not at or _VARIABLE.fullmatch(password if colon else name):
        return False
    return bool(colon) or scheme.lower().rpartition("+")[2] in _NO_USERS


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
