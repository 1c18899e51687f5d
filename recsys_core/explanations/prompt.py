"""The explanation prompt: its variables, the answer's schema, the check of citations, the rule."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from recsys_core.columns import MAX_ID_CHARS
from recsys_core.explanations.attributes import normalise_key
from recsys_core.explanations.attribution.strengths import MAIN, STRENGTHS
from recsys_core.explanations.evaluation.claims import QUOTED, title_key, words
from recsys_core.explanations.rule_explainer import RuleExplainer, reasons_of, telling
from recsys_core.explanations.rule_tables import LikedCause, LikedTitle, RecommendedTitle
from recsys_core.explanations.vocabulary import verb_of
from recsys_core.llm.providers.base import Choices, Purpose
from recsys_core.llm.request.json_schema import choice, each
from recsys_core.llm.request.parsing import check_ids
from recsys_core.llm.request.templates import as_json
from recsys_core.prompt_context.models import PromptModel, RecentItem, Taste

_SENTENCE_CHARS: Final = 600
_IDS, _LIKED, _ATTRIBUTES = "ids", "liked", "attributes"
_PEOPLE: Final = "{people}"
"""Stands in a model's sentence for how many people liked the first title that it cites, ..."""
_OF_THEM: Final = "{of_them}"
"""... and for how many of these liked the recommended one: filled in by `with_numbers`."""


class KnownItem(PromptModel):
    """A title with its attributes as keys such as `genre:Crime`, `tag:Detective`."""

    id: str
    title: str
    year: int | None = None
    attributes: tuple[str, ...] = ()
    description: str = ""


class Cause(PromptModel):
    """A liked title that is among the causes of a recommendation (`explanations.attribution`)."""

    id: str
    influence: int = 100
    """What the score loses without it, in percent of what it loses without the strongest cause."""
    strength: str = MAIN
    """The same as a word that stays over runs (`attribution.strengths`): prompts show this one."""
    people: int = 0
    """How many people liked it."""
    people_both: int = 0
    """How many of these liked the recommended title, too."""

    @property
    def counted(self) -> bool:
        """Whether the numbers of people are large enough to speak of."""
        return telling(self.people, self.people_both)

    @property
    def as_shown(self) -> dict[str, str | bool]:
        """As the prompt shows it: without numbers, which any new rating changes."""
        counts = {"counted": True} if self.counted else {}
        return {"liked_id": self.id, "influence": self.strength, **counts}


class ExplainedItem(KnownItem):
    """A recommended title with its causes."""

    causes: tuple[Cause, ...] = ()
    """Liked titles that may be cited for it, the strongest first."""
    rests_on: str = ""
    """The largest cause that is no title (`attribution.kinds`), where no liked title is one."""
    people: int = 0
    """How many people liked it."""
    place: int = 0
    """Where it stands in the list; for the rules, never in a prompt: orders change, reasons need
    not."""

    @property
    def causes_shown(self) -> list[dict[str, str | bool]]:
        """The causes as the prompt shows them: by strength and id, whatever their exact order."""
        ordered = sorted(self.causes, key=lambda one: (STRENGTHS.index(one.strength), one.id))
        return [one.as_shown for one in ordered]


class ExplanationInput(PromptModel):
    """A user's taste and latest ratings, causes, and what is to be explained."""

    taste: Taste
    recent: tuple[RecentItem, ...] = ()
    liked: tuple[KnownItem, ...]
    """All titles that are a cause of one of the items."""
    items: tuple[ExplainedItem, ...]
    has_liked: bool = True
    """Whether the user is known to like any title at all."""
    implicit: bool = False
    """Whether liked titles are chosen ones: bought, played, read, of which no rating is known."""
    language: str = "English"
    """What the sentences are to be written in, by a model; rules write English."""

    @property
    def did(self) -> str:
        """What people did with liked titles, as sentences say it."""
        return verb_of(implicit=self.implicit).past


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
        RecommendedTitle(
            id=one.id, title=one.title, attributes=one.attributes, rests_on=one.rests_on,
            people=one.people, place=one.place,
            causes=tuple(
                LikedCause(
                    id=cause.id, influence=cause.influence, people=cause.people,
                    people_both=cause.people_both,
                )
                for cause in one.causes
            ),
        )
        for one in variables.items
    ]  # fmt: skip
    wanted = (*variables.taste.genres, *variables.taste.tags)
    writer = RuleExplainer(
        [citable(one) for one in variables.liked], targets, wanted, variables.taste.dislikes,
        has_liked=variables.has_liked, implicit=variables.implicit,
    )  # fmt: skip
    reasons = tuple(
        Reason(
            id=target.id, sentence=one.sentence, liked_ids=one.liked, attributes=one.attributes
        )
        for target, one in zip(targets, reasons_of(writer, targets), strict=True)
    )  # fmt: skip
    return ExplanationAnswer(reasons=reasons)


def citable(liked: KnownItem) -> LikedTitle:
    """A liked title as rules cite it."""
    return LikedTitle(id=liked.id, title=liked.title, year=liked.year, keys=_keys(liked.attributes))


@lru_cache(maxsize=65_536)
def _keys(attributes: tuple[str, ...]) -> frozenset[str]:
    """Normalised; a title is cited for many users."""
    return frozenset(map(normalise_key, attributes))


@dataclass(frozen=True)
class Faults:
    """What a reason claims without support, in words: about causes, and else; false without any."""

    outside: tuple[str, ...] = ()
    further: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.outside or self.further)

    def __str__(self) -> str:
        return " and ".join((*self.outside, *self.further))


def faults_of(variables: ExplanationInput, item: ExplainedItem, reason: Reason) -> Faults:
    """What `reason` claims of `item` without support."""
    causes = {one.id for one in item.causes}
    ids = [one for one in reason.liked_ids if one not in causes]
    names = titles_outside(variables, item, reason.sentence)
    outside = [f"liked_ids {ids} are not among the causes of this title"] if ids else []
    outside += [f"the sentence names {names}, no causes of this title"] if names else []
    further = [ill] if (ill := _ill_formed(item, reason)) else []
    places = any(mark in reason.sentence for mark in (_PEOPLE, _OF_THEM))
    if places and _first_counted(item, reason) is None:
        further.append("it has places for numbers of people of a title that has none to tell")
    return Faults(tuple(outside), tuple(further))


def _first_counted(item: ExplainedItem, reason: Reason) -> Cause | None:
    """The first title that the reason cites, where numbers of people may be told of it."""
    causes = {one.id: one for one in item.causes}
    first = causes.get(reason.liked_ids[0]) if reason.liked_ids else None
    return first if first is not None and first.counted else None


def with_numbers(item: ExplainedItem, reason: Reason) -> Reason:
    """The reason with today's numbers of people in the places that its sentence left for them."""
    cause = _first_counted(item, reason)
    if cause is None:
        return reason
    said = reason.sentence.replace(_PEOPLE, str(cause.people))
    said = said.replace(_OF_THEM, str(cause.people_both))
    return reason.model_copy(update={"sentence": said})


def _ill_formed(item: ExplainedItem, reason: Reason) -> str:
    keys = [one for one in reason.attributes if one not in item.attributes]
    problems = [f"attributes {keys} are not attributes of this title"] if keys else []
    problems += [] if reason.sentence.strip() else ["the sentence is empty"]
    return " and ".join(problems)


def titles_outside(variables: ExplanationInput, item: ExplainedItem, sentence: str) -> list[str]:
    """Titles that the sentence names and that are no causes of the title.

    That is whatever stands in quotation marks, and titles of two or more words that the request
    shows.
    """
    causes = {one.id for one in item.causes}
    own = {title_key(one.title) for one in variables.liked if one.id in causes}
    own.add(title_key(item.title))
    quoted = [one for one in QUOTED.findall(sentence) if title_key(one) not in own]
    said = f" {' '.join(words(QUOTED.sub(' . ', sentence)))} "
    shown = {title_key(one.title): one.title for one in (*variables.liked, *variables.items)}
    bare = [
        title for key, title in shown.items()
        if len(key) > 1 and key not in own and f" {' '.join(key)} " in said
        and not any(f" {' '.join(key)} " in f" {' '.join(one)} " for one in own)
    ]  # fmt: skip
    return quoted + bare


def _check(variables: ExplanationInput, answer: ExplanationAnswer) -> None:
    """Refuse an answer to other questions.

    Single reasons that cite what is no cause are dropped and counted (`explainer`), and not asked
    for again: the others of the answer stay.
    """
    items = {item.id: item for item in variables.items}
    check_ids(items, (reason.id for reason in answer.reasons))
    problems = {
        reason.id: problem
        for reason in answer.reasons
        if (problem := _ill_formed(items[reason.id], reason))
    }
    if problems:
        raise ValueError("; ".join(f"id {as_json(one)}: {what}" for one, what in problems.items()))


def _choices(variables: ExplanationInput) -> Choices:
    """The titles in turn, each with attributes and causes of its own."""
    own = {f"{_ATTRIBUTES}:{one.id}": one.attributes for one in variables.items}
    causes = {f"{_LIKED}:{one.id}": [x.id for x in one.causes] for one in variables.items}
    return own | causes | {_IDS: [one.id for one in variables.items]}


EXPLANATION = Purpose(
    name="explanation",
    answer=ExplanationAnswer,
    rule=explain_with_rules,
    check=_check,
    choices=_choices,
)
