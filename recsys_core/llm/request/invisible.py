"""Characters that nobody sees and a model reads: they can carry whole sentences.

Control characters, marks of direction, and all that Unicode calls default-ignorable (tag
characters, variation selectors, fillers, joiners). Texts for prompts are without them; in ids,
which must come back as they are, they are written out.
"""

import json
import re
from typing import Final

_CONTROL: Final = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb"
_IGNORABLE: Final = (  # DerivedCoreProperties.txt of Unicode 16, Default_Ignorable_Code_Point
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    r"\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
UNSEEN: Final = rf"[{_CONTROL}{_IGNORABLE}]"
"""Pattern of one such character."""
_LETTER: Final = rf"[^\x00-\x7f{_CONTROL}{_IGNORABLE}]"
_REMOVED: Final = re.compile(rf"(?<={_LETTER})([\u200c\u200d])(?={_LETTER})|{UNSEEN}")


def without_unseen(text: str) -> str:
    """The text without them, but for one joiner between two letters, as Persian and Hindi spell."""
    if text.isascii() and text.isprintable():  # most texts
        return text
    return _REMOVED.sub(lambda found: found[1] or "", text)


def escaped(character: str) -> str:
    """The JSON escape of a character, as a surrogate pair where it needs one."""
    if character.isascii():
        return f"\\u{ord(character):04x}"
    return json.dumps(character)[1:-1]
