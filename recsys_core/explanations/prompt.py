"""The explanation prompt: its variables, the answer's schema, the check of citations, the rule."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recsys_core.explanations.attributes import normalise_key
from recsys_core.explanations.rule_explainer import LikedTitle, RecommendedTitle, RuleExplainer
from recsys_core.llm.providers.base import Choices, Purpose
from recsys_core.llm.request.json_schema import choice, each
from recsys_core.llm.request.parsing import check_ids
from recsys_core.prompt_context.models import MAX_ID_CHARS, PromptModel, RecentItem, Taste

_SENTENCE_CHARS: Final = 600
_IDS, _LIKED, _ATTRIBUTES = "ids", "liked", "attributes"


class KnownItem(PromptModel):
    """A title with its attributes as keys such as `genre:Crime`, `tag:Detective`."""

    id: str
    title: str
    year: int | None = None
    attributes: tuple[str, ...] = ()
    description: str = ""


class ExplanationInput(PromptModel):
    """A user's taste and latest ratings, titles that may be cited, and what is to be explained."""

    taste: Taste
    recent: tuple[RecentItem, ...] = ()
    liked: tuple[KnownItem, ...]
    items: tuple[KnownItem, ...]


def _one_line(value: object) -> object:
    return " ".join(value.split()) if isinstance(value, str) else value


class Reason(BaseModel):
    """Why one title is recommended, and the evidence."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    id: Annotated[str, Field(max_length=MAX_ID_CHARS, json_schema_extra=choice(_IDS))]
    sentence: Annotated[
        str, BeforeValidator(_one_line), Field(min_length=1, max_length=_SENTENCE_CHARS)
    ]
    liked_ids: Annotated[
        tuple[
            Annotated[str, Field(max_length=MAX_ID_CHARS, json_schema_extra=choice(_LIKED))], ...
        ],
        Field(max_length=5),
    ] = ()
    attributes: Annotated[
        tuple[Annotated[str, Field(max_length=200, json_schema_extra=choice(_ATTRIBUTES))], ...],
        Field(max_length=8),
    ] = ()


class ExplanationAnswer(BaseModel):
    """A reason for every title that was asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reasons: Annotated[tuple[Reason, ...], Field(max_length=200, json_schema_extra=each(_IDS))]


def explain_with_rules(variables: ExplanationInput) -> ExplanationAnswer:
    """A reason for every title from shared attributes; see `rule_explainer`."""
    targets = [
        RecommendedTitle(title=one.title, attributes=one.attributes) for one in variables.items
    ]
    wanted = (*variables.taste.genres, *variables.taste.tags)
    writer = RuleExplainer(_citable(variables.liked), targets, wanted, variables.taste.dislikes)
    reasons = []
    for item, target in zip(variables.items, targets, strict=True):
        written = writer.write(target)
        reasons.append(
            Reason(
                id=item.id, sentence=written.sentence, liked_ids=written.liked,
                attributes=written.attributes,
            )
        )  # fmt: skip
    return ExplanationAnswer(reasons=tuple(reasons))


def _citable(liked: Sequence[KnownItem]) -> list[LikedTitle]:
    return [
        LikedTitle(
            id=one.id,
            title=one.title,
            year=one.year,
            keys=frozenset(map(normalise_key, one.attributes)),
        )
        for one in liked
    ]


def unsupported(variables: ExplanationInput, item: KnownItem, reason: Reason) -> str:
    """What `reason` claims without support, in words a model can act on; empty if all holds."""
    liked = {one.id for one in variables.liked}
    ids = [one for one in reason.liked_ids if one not in liked]
    keys = [one for one in reason.attributes if one not in item.attributes]
    problems = [f"liked_ids {ids} are not among the liked titles"] if ids else []
    problems += [f"attributes {keys} are not attributes of this title"] if keys else []
    problems += [] if reason.sentence.strip() else ["the sentence is empty"]
    return " and ".join(problems)


def _check(variables: ExplanationInput, answer: ExplanationAnswer) -> None:
    items = {item.id: item for item in variables.items}
    check_ids(items, (reason.id for reason in answer.reasons))
    problems = {
        reason.id: problem
        for reason in answer.reasons
        if (problem := unsupported(variables, items[reason.id], reason))
    }
    if problems:
        raise ValueError("; ".join(f"id {name!r}: {what}" for name, what in problems.items()))


def _choices(variables: ExplanationInput) -> Choices:
    """The titles in turn, each with attributes of its own, and the liked titles."""
    own = {f"{_ATTRIBUTES}:{one.id}": one.attributes for one in variables.items}
    return own | {_IDS: [one.id for one in variables.items],
                  _LIKED: [one.id for one in variables.liked]}  # fmt: skip


EXPLANATION = Purpose(
    name="explanation",
    answer=ExplanationAnswer,
    rule=explain_with_rules,
    check=_check,
    choices=_choices,
)
