"""Words of the sentence templates: how genres, tags and feedback read in an English sentence."""

from dataclasses import dataclass
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HEADS: Final = (
    "thriller", "drama", "comedy", "mystery", "western", "musical", "adventure", "fantasy",
    "romance", "documentary", "film-noir", "biography", "memoir", "novel", "platformer", "shooter",
    "roguelike", "metroidvania", "cookbook", "sitcom",
)  # fmt: skip
"""Genres that can end a phrase, the strongest first."""

BEFORE: Final = {
    "romance": "romantic", "drama": "dramatic", "animation": "animated", "history": "historical",
    "biography": "biographical", "film-noir": "noir", "children": "children's",
    "classics": "classic", "humour": "humorous", "humor": "humorous",
    "short stories": "short-story",
    "sports": "sports", "children's literature": "children's",
}  # fmt: skip
"""How a genre stands before the one that ends the phrase, where it changes."""

ADJECTIVES: Final = _words("""
    adventurous bittersweet bleak character-driven charming chilling clever competitive cynical
    dark disturbing emotional epic experimental factual family-friendly fast-paced feel-good
    frightening funny gothic gripping gritty harrowing heartfelt heartwarming historical hopeful
    humorous imaginative inspirational intense intriguing lighthearted lyrical melancholic
    melodious moody nostalgic offbeat philosophical poetic political psychological quirky
    realistic romantic rugged satirical slow-burning speculative stylish supernatural surreal
    suspenseful tender tense thought-provoking touching tragic uplifting violent visceral
    whimsical witty
""")
"""Tags that stand before the noun. Sharing nothing but one of these is no match."""

IMPLIED: Final = {
    "adventurous": "adventure", "character-driven": "drama", "competitive": "sport",
    "cynical": "film-noir", "factual": "documentary", "family-friendly": "children's",
    "fast-paced": "action", "frightening": "horror", "gritty": "crime", "harrowing": "war",
    "historical": "history", "humorous": "comedy", "intriguing": "mystery",
    "melodious": "musical", "romantic": "romance", "rugged": "western", "speculative": "sci-fi",
    "suspenseful": "thriller",
}  # fmt: skip
"""Adjectives that add nothing to a genre: a humorous comedy is a comedy."""

NAMES: Final = _words("""
    africa african america american ancient angeles asian australia australian berlin britain
    british broadway california canada canadian chicago china chinese christmas cinderella cuba
    dublin egypt egyptian england english europe european florida france french german germany
    greek halloween hindu hollywood hong india indian iran ireland irish israel italian italy
    japan japanese jewish kong korea korean las latin london los manhattan mexican mexico miami
    moscow nazi new orleans paris polish rome russia russian scotland scottish shakespeare
    southern soviet spain spanish texas thanksgiving tokyo venice vegas victorian vietnam
    washington west world york
""")
"""Words that keep the capitals of the tag they stand in."""

PLACES: Final = frozenset({
    "new york city", "los angeles", "las vegas", "texas", "paris", "london", "france", "italy",
    "britain", "ireland", "germany", "russia", "china", "japan", "africa", "latin america", "india",
    "american south",
})  # fmt: skip
"""Themes that are places: that a text names one does not say that all of it is set there."""

THEMES: Final = {
    "at sea": "seafaring", "politics": "political", "native americans": "Native American",
    "teenagers": "teenage", "suburbs": "suburban", "toys and games": "toy", "sports": "sports",
    "martial arts": "martial arts", "true story": "true-story",
    "american south": "the American South",
    "mental health": "mental health", "american dream": "American dream",
}  # fmt: skip
"""How a theme stands before the word `theme`, or a place behind `ties to`, where that is not its
name in the singular."""

COLUMNS: Final = {"cast": "cast member"}
"""How a column of labels is called in a sentence, where that is not its name in the singular."""

EMPTY: Final = frozenset({
    "title", "titles", "item", "items", "product", "products", "other", "others", "unknown",
    "misc", "miscellaneous", "general", "(no genres listed)", "all", "default", "n/a", "none",
})  # fmt: skip
"""Labels that say nothing of an item."""


@dataclass(frozen=True, kw_only=True)
class Verb:
    """What people did with the titles that speak for others."""

    past: str
    participle: str
    noun: str
    given: str


LIKED: Final = Verb(past="liked", participle="liked", noun="liking for", given="ratings")
CHOSE: Final = Verb(past="chose", participle="chosen", noun="choice of", given="choices")
"""Of implicit feedback: bought, played, read or watched, which nobody need have liked."""


def verb_of(*, implicit: bool) -> Verb:
    """What people did with the titles that speak for others, as sentences and prompts say it."""
    return CHOSE if implicit else LIKED
