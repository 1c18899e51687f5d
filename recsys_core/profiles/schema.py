"""The unified schema of user and item profiles (paper, section 2.1.3).

A profile is a bounded, frozen model, so that a language model that fills it comes to an end, and a
Markdown text, which is what gets embedded and shown. The two round-trip exactly:
`Profile.from_markdown(profile.to_markdown(title)) == profile`.
"""

import re
from typing import Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recsys_core.errors import DataError
from recsys_core.profiles.text import clean_text, split_labels, unique

OVERVIEW_CHARS: Final = 600
DESCRIPTION_CHARS: Final = 1200
LABEL_CHARS: Final = 60
MAX_GENRES: Final = 12
MAX_TAGS: Final = 24
MAX_DISLIKES: Final = 24

_HEADING = re.compile(r"^\s*(#{1,2})(?!#)\s*(.*?)\s*:?\s*$")
_ATTRIBUTE = re.compile(r"^[\s*-]*(genres?|tags?)[\s*]*:[\s*]*(.*)$", re.IGNORECASE)
_SECTIONS: Final = ("overview", "attributes", "description", "dislikes")


def _labels(value: object) -> object:
    """Clean a list of labels; what is no list of strings is left for pydantic to refuse."""
    if not isinstance(value, list | tuple) or not all(isinstance(label, str) for label in value):
        return value
    return unique(label for part in value for label in split_labels(part))


def _text(value: object) -> object:
    return clean_text(value) if isinstance(value, str) else value


_Label = Annotated[str, Field(max_length=LABEL_CHARS)]
# These stand behind the bounds, which so stay in the JSON schema that a model is bound to.
_Labels = BeforeValidator(_labels)
_Text = BeforeValidator(_text)


class Profile(BaseModel):
    """What is known about an item or a user; the same schema for both.

    Values are cleaned before they are checked: whitespace collapsed, list and heading marks
    removed, commas inside a label replaced, equal labels (whatever their case) kept once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    overview: Annotated[str, Field(min_length=1, max_length=OVERVIEW_CHARS), _Text]
    """Two or three sentences: what it is about, or what this user enjoys."""
    genres: Annotated[tuple[_Label, ...], Field(max_length=MAX_GENRES), _Labels] = ()
    """Genres, the most typical first."""
    tags: Annotated[tuple[_Label, ...], Field(max_length=MAX_TAGS), _Labels] = ()
    """Themes, narrative elements, moods, settings, character attributes; the strongest first."""
    description: Annotated[str, Field(min_length=1, max_length=DESCRIPTION_CHARS), _Text]
    """A short paragraph on themes, characters and style."""
    dislikes: Annotated[tuple[_Label, ...], Field(max_length=MAX_DISLIKES), _Labels] = ()
    """What this user, or the audience of this item, would rather avoid."""

    def to_markdown(self, title: str | None = None) -> str:
        """The text that is embedded and shown; `title` becomes its first heading."""
        lines = [
            "## Overview", self.overview, "",
            "## Attributes", f"- **Genre**: {', '.join(self.genres)}",
            f"- **Tags**: {', '.join(self.tags)}", "",
            "## Description", self.description, "",
            "## Dislikes", ", ".join(self.dislikes),
        ]  # fmt: skip
        heading = [f"# {clean_text(title)}", ""] if title else []
        return "\n".join([*heading, *lines]).strip()

    @classmethod
    def from_markdown(cls, text: str) -> Self:
        """Read the Markdown form back.

        Raises:
            DataError: a section is missing, or a value is out of bounds.
        """
        return cls.from_fields(parse_markdown(text))

    @classmethod
    def from_fields(cls, fields: "ProfileFields") -> Self:
        """Validate raw fields.

        Raises:
            DataError: a value is out of bounds; every such field is named.
        """
        try:
            return cls.model_validate(dict(fields))
        except ValidationError as error:
            problems = [f"{item['loc'][0]}: {item['msg']}" for item in error.errors()]
            raise DataError(
                f"A profile does not fit the schema: {'; '.join(problems)}.",
                expected=f"an overview of at most {OVERVIEW_CHARS} characters, a description of at"
                f" most {DESCRIPTION_CHARS}, at most {MAX_GENRES} genres, {MAX_TAGS} tags and"
                f" {MAX_DISLIKES} dislikes of at most {LABEL_CHARS} characters each.",
                fix="shorten these fields.",
            ) from error


ProfileFields = dict[str, str | list[str]]
"""The five fields of a profile before validation."""


def parse_markdown(text: str) -> ProfileFields:
    """The fields in a profile's Markdown, unbounded and uncleaned, in any of its known forms.

    Headings may end in a colon, lists may be bullets or separated by commas, and the last
    section may be cut off, as in the paper's published profiles.

    Raises:
        DataError: the overview, attributes or description is missing.
    """
    sections = _sections(text)
    missing = [name for name in _SECTIONS[:3] if not sections.get(name)]
    if missing:
        raise DataError(
            f"A profile has no {' and no '.join(missing)}: {text.strip()[:80]!r}.",
            expected="Markdown with the headings ## Overview, ## Attributes, ## Description and"
            " ## Dislikes.",
            fix="correct the text, or leave this row out to have the profile written.",
        )
    attributes = _attributes(sections["attributes"])
    avoided = (split_labels(line) for line in sections.get("dislikes", []))
    return {
        "overview": " ".join(sections["overview"]),
        "genres": attributes.get("genre", []),
        "tags": attributes.get("tag", []),
        "description": " ".join(sections["description"]),
        "dislikes": [label for labels in avoided for label in labels],
    }


def _sections(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            name = heading[2].casefold()
            current = found.setdefault(name, []) if name in _SECTIONS else []
        elif line.strip():
            current.append(line)
    return found


def _attributes(lines: list[str]) -> dict[str, list[str]]:
    """Labels by `genre` and `tag`, from lines such as `- **Tags**: a, b`."""
    matches = [match for line in lines if (match := _ATTRIBUTE.match(line))]
    return {match[1].casefold().rstrip("s"): split_labels(match[2]) for match in matches}
