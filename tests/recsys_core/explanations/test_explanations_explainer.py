import asyncio
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.columns import RECOMMENDATIONS, check
from recsys_core.errors import BudgetExceeded, LLMUnavailable
from recsys_core.explanations.attributes import attributes, kind, label
from recsys_core.explanations.attribution.assumed import assumed
from recsys_core.explanations.config import ExplanationConfig
from recsys_core.explanations.evaluation.metrics import readable
from recsys_core.explanations.explainer import explain
from recsys_core.explanations.named_attributes import (
    genre_phrase,
    in_sentence,
    theme_words,
    with_article,
)
from recsys_core.explanations.prompt import (
    EXPLANATION,
    Cause,
    ExplainedItem,
    ExplanationAnswer,
    ExplanationInput,
    KnownItem,
    Reason,
    explain_with_rules,
    faults_of,
    with_numbers,
)
from recsys_core.explanations.rule_explainer import opening
from recsys_core.explanations.sentence_templates import shown_title
from recsys_core.explanations.user_context import known_item, title_words
from recsys_core.llm.providers.base import Provider, Request
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.llm.request.templates import render
from recsys_core.prompt_context.models import Taste
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.fusion import fused_lists
from recsys_core.rerank.reranker import rerank
from recsys_core.rerank.user_context import RerankTables
from tests.rerank_world import Scripted, world


def known(
    name: str,
    title: str,
    *genres: str,
    tags: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    year: int | None = 1995,
) -> KnownItem:
    keys = attributes(genres, tags, year, labels)
    return KnownItem(id=name, title=title, year=year, attributes=keys)


def caused(item: KnownItem, *liked: KnownItem, **fields: Any) -> ExplainedItem:
    """The item with the liked titles as its causes, equally strong unless told otherwise."""
    causes = tuple(Cause(id=one.id) for one in liked)
    return ExplainedItem(**{**item.model_dump(), "causes": causes, **fields})


HEAT = known("h", "Heat", "Crime", "Thriller", tags=("Heist", "Police", "Gritty"))
SEVEN = known("s", "Seven", "Crime", "Thriller", tags=("Serial Killer", "Police"))
GREASE = known("g", "Grease", "Musical", "Romance", year=1978)


def reason(
    item: KnownItem,
    *liked: KnownItem,
    taste: Taste | None = None,
    others: tuple[KnownItem, ...] = (),
) -> Reason:
    items = tuple(caused(one, *liked) for one in (item, *others))
    asked = ExplanationInput(
        taste=taste or Taste(), liked=liked, items=items, has_liked=bool(liked)
    )
    answer = explain_with_rules(asked)
    EXPLANATION.check(asked, answer)
    return answer.reasons[0]


def run(
    tables: RerankTables,
    evidence: pl.DataFrame,
    provider: Provider | None = None,
    *,
    batch: int = 20,
    titles: int = 20,
) -> tuple[pl.DataFrame, dict[str, Any]]:
    async def both() -> tuple[pl.DataFrame, dict[str, Any]]:
        judged, _ = await rerank(
            tables, provider=RulesProvider(), config=RerankConfig(candidates=titles), seed=0
        )
        everybody = tables.candidates["user_id"].unique()
        reranked = fused_lists(tables.candidates, judged, everybody, weight=0.8)
        return await explain(
            reranked, history=tables.history, items=tables.items,
            item_profiles=tables.item_profiles,
            user_profiles=tables.user_profiles, attributions=assumed(evidence, reranked),
            liking=evidence["user_id"].unique(), provider=provider or RulesProvider(),
            config=ExplanationConfig(batch=batch), titles=titles,
        )  # fmt: skip

    return asyncio.run(both())


# What the rules write


def test_the_strongest_cause_is_cited_with_what_it_shares() -> None:
    target = known("t", "Copycat", "Crime", "Thriller", tags=("Police", "Serial Killer"))
    causes = (Cause(id="s"), Cause(id="h", influence=30), Cause(id="g", influence=10))
    asked = ExplanationInput(
        taste=Taste(), liked=(GREASE, HEAT, SEVEN), items=(caused(target, causes=causes),)
    )
    found = explain_with_rules(asked).reasons[0]
    assert "“Seven”" in found.sentence
    assert "serial killer theme" in found.sentence
    assert found.liked_ids == ("s",)
    assert set(found.attributes) <= {"genre:Crime", "genre:Thriller", "tag:Serial Killer"}
    assert len(found.attributes) == 2


def test_a_resembling_title_that_is_a_weak_cause_is_not_cited() -> None:
    target = known("t", "Copycat", "Crime", "Thriller", tags=("Police", "Serial Killer"))
    causes = (Cause(id="g", people=40, people_both=30), Cause(id="s", influence=30))
    asked = ExplanationInput(
        taste=Taste(), liked=(GREASE, SEVEN), items=(caused(target, causes=causes),)
    )
    found = explain_with_rules(asked).reasons[0]
    assert found.liked_ids == ("g",)
    assert found.attributes == ()
    assert "40 people who liked “Grease”" in found.sentence
    assert "30" in found.sentence


def test_a_cause_nearly_as_strong_is_cited_where_only_it_shares_something() -> None:
    target = known("t", "Copycat", "Crime", "Thriller", tags=("Police",))
    causes = (Cause(id="g", people=40, people_both=30), Cause(id="s", influence=85))
    asked = ExplanationInput(
        taste=Taste(), liked=(GREASE, SEVEN), items=(caused(target, causes=causes),)
    )
    assert explain_with_rules(asked).reasons[0].liked_ids == ("s",)


def test_two_liked_titles_only_where_both_are_causes_and_share_what_is_named() -> None:
    target = known("t", "Copycat", "Crime", "Thriller", tags=("Police",))
    found = reason(target, HEAT, SEVEN, GREASE)
    assert set(found.liked_ids) == {"h", "s"}
    assert "both of which you liked" in found.sentence or "“Heat” and “Seven”" in found.sentence


def test_too_few_people_are_no_numbers() -> None:
    target = known("t", "Fargo", "Western", year=1960)
    causes = (Cause(id="g", people=2, people_both=1),)
    asked = ExplanationInput(taste=Taste(), liked=(GREASE,), items=(caused(target, causes=causes),))
    found = explain_with_rules(asked).reasons[0]
    assert found.liked_ids == ("g",)
    assert "“Grease”" in found.sentence
    assert not any(letter.isdigit() for letter in found.sentence)


def test_one_shared_genre_stands_beside_numbers_and_a_common_one_behind_them() -> None:
    target = known("t", "Annie", "Musical")
    causes = (Cause(id="g", people=40, people_both=30), Cause(id="h", influence=60))
    others = [known(f"o{n}", f"Other {n}", "Crime") for n in range(10)]
    for rest, attributes_named in ((others, ("genre:Musical",)), (others[:1], ())):
        items = (caused(target, causes=causes), *(caused(one) for one in rest))
        asked = ExplanationInput(taste=Taste(), liked=(GREASE, HEAT), items=items)
        found = explain_with_rules(asked).reasons[0]
        assert found.attributes == attributes_named
        assert ("musical" in found.sentence) == bool(attributes_named)
        assert "30 of the 40 people" in found.sentence or "Of the 40 people" in found.sentence
        assert "“Heat”" in found.sentence, "the next cause counts for much"
        assert found.liked_ids == ("g", "h")


def test_a_shared_decade_or_an_empty_label_is_nothing_to_say() -> None:
    for target in (known("t", "Fargo", "Western"), known("t", "Fargo", "Other")):
        found = reason(target, known("x", "Heat", "Crime", "Other"))
        assert found.attributes == ()
        assert found.liked_ids == ("x",)


@pytest.mark.parametrize(
    ("rests_on", "people", "said"),
    [
        ("profile", 0, "profile says of you"), ("attributes", 9, "beside your ratings"),
        ("popularity", 120, "120 people liked it"), ("time", 9, "when you were active"),
        ("popularity", 1, "other people's ratings"), ("", 0, "other people's ratings"),
    ],
)  # fmt: skip
def test_without_a_cause_among_titles_the_reason_says_what_it_rests_on(
    rests_on: str, people: int, said: str
) -> None:
    item = caused(known("t", "Annie", "Musical"), rests_on=rests_on, people=people)
    asked = ExplanationInput(taste=Taste(), liked=(), items=(item,))
    found = explain_with_rules(asked).reasons[0]
    assert said in found.sentence
    assert found.liked_ids == ()


def test_the_profile_is_a_reason_where_it_is_the_cause_and_wants_what_the_title_is() -> None:
    item = caused(known("t", "Annie", "Musical"), rests_on="profile")
    asked = ExplanationInput(taste=Taste(genres=("musical",)), liked=(), items=(item,))
    found = explain_with_rules(asked).reasons[0]
    assert found.attributes == ("genre:Musical",)
    assert "profile" in found.sentence


def test_an_absence_is_claimed_of_those_alone_who_liked_nothing() -> None:
    item = caused(known("t", "Annie", "Musical"), rests_on="popularity", people=50)
    for likes in (True, False):
        asked = ExplanationInput(taste=Taste(), liked=(), items=(item,), has_liked=likes)
        sentence = explain_with_rules(asked).reasons[0].sentence
        assert ("no " in sentence.lower()) != likes
        assert "50 people liked" in sentence


def test_what_the_user_dislikes_is_no_reason() -> None:
    target = known("t", "Copycat", "Crime", "Thriller", tags=("Police",))
    found = reason(target, SEVEN, taste=Taste(dislikes=("POLICE", "crime")))
    assert {label(key) for key in found.attributes} == {"Thriller"}
    assert "police" not in found.sentence
    assert "crime" not in found.sentence


def test_a_remake_is_told_from_its_original() -> None:
    first = known("1", "Sabrina", "Comedy", "Romance", year=1954)
    found = reason(known("2", "Sabrina", "Comedy", "Romance"), first)
    assert "“Sabrina” (1954)" in found.sentence


def test_sentences_take_turns() -> None:
    likes = [known(f"l{n}", f"Liked {n}", "Crime", "Thriller") for n in range(6)]
    targets = tuple(
        caused(known(f"t{n}", f"New {n}", "Crime", "Thriller"), likes[n]) for n in range(6)
    )
    asked = ExplanationInput(taste=Taste(), liked=tuple(likes), items=targets)
    found = explain_with_rules(asked).reasons
    assert all(one.sentence[:9] != two.sentence[:9] for one, two in pairwise(found))


def test_of_equal_causes_the_one_cited_less_often_is_taken() -> None:
    likes = [known(f"l{n}", f"Liked {n}", "Crime", "Thriller") for n in range(6)]
    targets = tuple(
        caused(known(f"t{n}", f"New {n}", "Crime", "Thriller"), *likes) for n in range(6)
    )
    asked = ExplanationInput(taste=Taste(), liked=tuple(likes), items=targets)
    assert len({name for one in explain_with_rules(asked).reasons for name in one.liked_ids}) == 6


labels = st.lists(
    st.sampled_from(
        ["Crime", "Drama", "Police", "Gritty", "1990s", "LGBTQ+", "", "é<b>", "x" * 60, "x" * 300]
    ),
    max_size=4, unique=True,
).map(tuple)  # fmt: skip
years = st.none() | st.integers(1900, 2030)
titles = st.text(max_size=200)


@given(
    st.lists(st.tuples(titles, labels, labels, years), max_size=4),
    st.lists(st.tuples(titles, labels, labels, years), min_size=1, max_size=5),
    labels,
    labels,
)
def test_every_reason_rests_on_true_evidence(
    liked: list[Any], targets: list[Any], wanted: tuple[str, ...], dislikes: tuple[str, ...]
) -> None:
    def build(prefix: str, rows: list[Any]) -> tuple[KnownItem, ...]:
        return tuple(
            known(f"{prefix}{n}", title[:120], *genres, tags=tags, year=year)
            for n, (title, genres, tags, year) in enumerate(rows)
        )

    asked = ExplanationInput(
        taste=Taste(genres=wanted, dislikes=dislikes), liked=(own := build("l", liked)),
        items=tuple(caused(one, *own) for one in build("t", targets)), has_liked=bool(own),
    )  # fmt: skip
    answer = explain_with_rules(asked)
    EXPLANATION.check(asked, answer)
    by_id = {one.id: one for one in asked.liked}
    for found in answer.reasons:
        cited = [set(by_id[name].attributes) for name in found.liked_ids]
        for key in found.attributes:  # what is named is shared with a cited title
            assert not cited or any(key in one for one in cited)
        for name in found.liked_ids:
            assert shown_title(by_id[name].title) in found.sentence
        assert not {label(key) for key in found.attributes} & set(dislikes)
        assert all(kind(key) in {"genre", "tag", "decade"} for key in found.attributes)
        assert found.sentence.endswith(".")


# Labels of the data's own columns


def test_who_wrote_or_made_it_is_said_before_a_theme() -> None:
    dune = known("d", "Dune", "Science Fiction", tags=("Politics",), labels=("author:Herbert",))
    target = known("t", "Hellstrom", "Science Fiction", tags=("Politics",),
                   labels=("author:Herbert", "publisher:Ace"))  # fmt: skip
    found = reason(target, dune)
    assert found.attributes == ("genre:Science Fiction", "author:Herbert")
    assert found.sentence == (
        "Because you liked “Dune”: another science fiction title with the same author, Herbert."
    )


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (("cast:Uma Thurman",), "the same cast member, Uma Thurman"),
        (("tags:turn-based", "tags:co-op"), "the same tags, turn-based and co-op"),
        (("main_colours:red",), "the same main colour, red"), (("keywords:Heist",), "heist theme"),
    ],
)  # fmt: skip
def test_a_label_is_called_what_its_column_is_called(labels: tuple[str, ...], said: str) -> None:
    target, liked = (known(name, name.upper(), labels=labels) for name in ("t", "x"))
    found = reason(target, liked)
    assert said in found.sentence
    assert found.attributes == tuple(key for key in target.attributes if "decade" not in key)


def test_what_most_titles_have_is_no_reason() -> None:
    labels = ("platform:PC",)
    likes = [known(f"l{n}", f"Liked {n}", labels=labels) for n in range(4)]
    targets = tuple(
        caused(known(f"t{n}", f"New {n}", labels=labels), causes=(Cause(id=f"l{n}"),))
        for n in range(4)
    )
    asked = ExplanationInput(taste=Taste(), liked=tuple(likes), items=targets)
    assert all(one.attributes == () for one in explain_with_rules(asked).reasons)


def test_the_next_cause_is_named_with_what_it_shares() -> None:
    target = known("t", "Alien", "Horror", "Sci-Fi", tags=("Space",))
    moon = known("m", "Moon", "Sci-Fi", tags=("Space",))
    causes = (Cause(id="g", people=40, people_both=30), Cause(id="m", influence=60))
    asked = ExplanationInput(
        taste=Taste(), liked=(GREASE, moon), items=(caused(target, causes=causes),)
    )
    found = explain_with_rules(asked).reasons[0]
    assert found.liked_ids == ("g", "m")
    assert found.attributes == ("genre:Sci-Fi", "tag:Space")
    assert found.sentence == (
        "Of the 40 people who liked “Grease”, as you did, 30 also liked this; like “Moon”, which"
        " you liked too, it is a sci-fi title with a space theme."
    )


def test_names_and_phrases_that_rules_pick_from_a_text_are_no_attributes() -> None:
    row = {
        "item_id": 1, "title": "Cape Fear", "year": 1991, "genres": ["Thriller"],
        "tags": ["Revenge", "Sam Bowden", "Suspenseful"], "description": "", "labels": [],
    }  # fmt: skip
    rules = known_item({**row, "model": "rules"}).attributes
    assert rules == ("genre:Thriller", "tag:Revenge", "decade:1990s")
    assert "tag:Sam Bowden" in known_item({**row, "model": "openai/x"}).attributes


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("nail art pen brush 15pcs", ["nail", "art", "pen", "brush"]),
        ("mapofbeauty 24quot", ["mapofbeauty"]), ("cool2day curly wig", ["curly", "wig"]),
        ("skin 100xxbronzer_new", ["skin"]), ("crème brûlée №5", ["crème", "brûlée"]),
    ],
)  # fmt: skip
def test_words_of_a_title_are_whole_ones(title: str, words: list[str]) -> None:
    assert title_words(title) == words


def test_of_an_item_without_genres_and_labels_words_of_the_title_are_attributes() -> None:
    row = {"item_id": 1, "title": "OLAY 2 oz, the Olay Pore-Cleanser", "year": None, "genres": [],
           "tags": [], "description": "", "model": "rules"}  # fmt: skip
    found = known_item({**row, "labels": []}).attributes
    assert found == ("title word:olay", "title word:pore", "title word:cleanser")
    assert known_item({**row, "labels": ["brand:Olay"]}).attributes == ("brand:Olay",)
    target, liked = (
        known(name, name, labels=("title word:olay",), year=None) for name in ("a", "b")
    )
    assert "the same title word, olay" in reason(target, liked).sentence or (
        "its title word olay" in reason(target, liked).sentence
    )


def test_neighbours_in_the_list_begin_differently_whatever_their_ids_are() -> None:
    likes = [known(f"l{n}", f"Liked {n}", "Crime", "Thriller") for n in range(6)]
    targets = [
        caused(known(f"t{n}", f"New {n}", "Crime", "Thriller"), likes[n], place=place)
        for n, place in enumerate((4, 1, 6, 2, 5, 3))
    ]
    asked = ExplanationInput(taste=Taste(), liked=tuple(likes), items=tuple(targets))
    found = {one.id: one.sentence for one in explain_with_rules(asked).reasons}
    listed = [found[one.id] for one in sorted(targets, key=lambda one: one.place)]
    assert all(opening(one) != opening(two) for one, two in pairwise(listed))


# Words


@pytest.mark.parametrize(
    ("genres", "phrase"),
    [
        (["Crime", "Thriller"], "crime thriller"),
        (["Comedy", "Romance"], "romantic comedy"),
        (["Comedy", "Drama"], "comedy drama"),
        (["Drama", "Thriller"], "dramatic thriller"),
        (["Animation", "Children's"], "animated children's title"),
        (["Action"], "action title"),
        (["Film-Noir"], "film noir"),
        (["Crime", "Film-Noir"], "crime film noir"),
        (["IMAX", "Documentary"], "IMAX documentary"),
        (["Classics"], "classic title"),
        (["RPG"], "RPG title"),
        (["Platformer", "Metroidvania"], "metroidvania platformer"),
    ],
)
def test_genres_read_as_one_noun(genres: list[str], phrase: str) -> None:
    assert genre_phrase(genres) == phrase


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("Serial Killer", "serial killer"), ("Coming-of-Age", "coming-of-age"), ("CIA", "CIA"),
        ("World War II", "World War II"), ("New York City", "New York City"), ("LGBTQ+", "LGBTQ+"),
        ("small town", "small town"),
    ],
)  # fmt: skip
def test_tags_within_a_sentence(tag: str, text: str) -> None:
    assert in_sentence(tag) == text


@pytest.mark.parametrize(
    ("noun", "text"),
    [("RPG title", "an RPG title"), ("TV drama", "a TV drama"), ("LGBTQ+ theme", "an LGBTQ+ theme"),
     ("IMAX documentary", "an IMAX documentary"), ("NASA theme", "a NASA theme"),
     ("4X title", "a 4X title"), ("odd one", "an odd one")],
)  # fmt: skip
def test_the_article_is_that_of_how_a_word_is_read(noun: str, text: str) -> None:
    assert with_article(noun) == text


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("Aliens", "alien"), ("Superheroes", "superhero"), ("At Sea", "seafaring"),
        ("Politics", "political"), ("Drugs", "drug"), ("Space Stations", "space station"),
        ("Class", "class"), ("Family Stories", "family story"), ("Los Angeles", "Los Angeles"),
        ("Robotics", "robotics"), ("CIA", "CIA"), ("Virus", "virus"),
    ],
)  # fmt: skip
def test_a_theme_stands_in_the_singular(tag: str, text: str) -> None:
    assert theme_words(tag) == text


def test_a_place_is_no_theme() -> None:
    paris, rome = (known(name, name.upper(), tags=("France",)) for name in ("t", "x"))
    assert "ties to France" in reason(paris, rome).sentence


@pytest.mark.parametrize(
    ("title", "text"),
    [("Godfather, The", "“The Godfather”"), ("Heat", "“Heat”"), ("A\n B", "“A B”"), ("", "“”")],
)
def test_titles_within_a_sentence(title: str, text: str) -> None:
    assert shown_title(title) == text
    assert len(shown_title("x" * 500)) == 82


def test_attributes_say_each_thing_once() -> None:
    assert attributes(["Crime"], ["crime", "1990s", "Heist"], 1995) == (
        "genre:Crime", "tag:Heist", "decade:1990s",
    )  # fmt: skip
    assert attributes([], [], None) == ()
    assert attributes(["Crime"], ["Heist", "Ford"], None, ["cast:Ford", "tag:a", "x:crime"]) == (
        "genre:Crime", "cast:Ford", "tags:a", "tag:Heist",
    )  # fmt: skip


# The answer's check


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], r'missing: \["t"\]'),
        ([{"id": "t", "sentence": "Yes."}, {"id": "x", "sentence": "Yes."}], r'asked for: \["x"'),
        ([{"id": "t", "sentence": "Yes.", "attributes": ["genre:War"]}], "not attributes of this"),
        ([{"id": "t", "sentence": "Yes.", "attributes": ["genre:crime"]}], "not attributes of"),
    ],
)  # fmt: skip
def test_the_check_names_what_has_no_support(answer: list[dict[str, Any]], message: str) -> None:
    asked = ExplanationInput(
        taste=Taste(), liked=(HEAT,), items=(caused(known("t", "T", "Crime"), HEAT),)
    )
    with pytest.raises(ValueError, match=message):
        EXPLANATION.check(asked, ExplanationAnswer.model_validate({"reasons": answer}))


@pytest.mark.parametrize(
    ("sentence", "liked", "problem"),
    [
        ("Yes.", ("s",), "not among the causes"), ("Like “Seven”.", (), "names ['Seven'], no"),
        ("Like Heat of the Night.", (), "names ['Heat of the Night'], no"),
        ("Like “Heat”.", ("h",), ""), ("This “T” is good.", (), ""),
    ],
)  # fmt: skip
def test_what_is_no_cause_has_no_support(
    sentence: str, liked: tuple[str, ...], problem: str
) -> None:
    other = known("n", "Heat of the Night", "Crime")
    item = caused(known("t", "T", "Crime"), HEAT)
    asked = ExplanationInput(taste=Taste(), liked=(HEAT, other), items=(item,))
    found = str(faults_of(asked, item, Reason(id="t", sentence=sentence, liked_ids=liked)))
    assert (problem in found) if problem else found == ""


@pytest.mark.parametrize("sentence", ["", " \n ", "x" * 601])
def test_empty_or_endless_sentences_are_refused(sentence: str) -> None:
    with pytest.raises(ValidationError):
        Reason(id="t", sentence=sentence)


# All users


@pytest.mark.parametrize("id_type", [int, str])
def test_every_candidate_has_a_reason_in_the_contract(id_type: type) -> None:
    tables, evidence = world(id_type=id_type)
    found, facts = run(tables, evidence)
    check(found, RECOMMENDATIONS, table="recommendations")
    assert found.columns == list(RECOMMENDATIONS)
    assert found.height == tables.candidates.height == facts["explained_items"]
    assert found["explanation"].str.len_chars().min() > 10  # type: ignore[operator]
    assert set(found["model"]) == {"rules"}
    assert found["liked_evidence"].dtype == pl.List(pl.Int64 if id_type is int else pl.String)
    titles = found.join(tables.items, on="item_id", suffix="_true")
    assert titles["title"].equals(titles["title_true"], check_names=False)
    assert found.select("user_id", "rank").equals(
        found.sort("user_id", "rank").select("user_id", "rank")
    )


def test_cited_titles_are_the_users_own_liked_training_items() -> None:
    tables, evidence = world(n_users=8)
    found, _ = run(tables, evidence)
    cited = found.select("user_id", pl.col("liked_evidence").alias("item_id")).explode("item_id")
    cited = cited.drop_nulls()
    assert cited.height > 0
    assert cited.join(evidence, on=["user_id", "item_id"], how="anti").is_empty()


def test_attributes_belong_to_the_item() -> None:
    tables, evidence = world(n_users=8)
    found, _ = run(tables, evidence)
    facts = tables.items.join(tables.item_profiles, on="item_id", suffix="_profile")
    own = {
        row["item_id"]: attributes(row["genres"] or row["genres_profile"], row["tags"], row["year"])
        for row in facts.iter_rows(named=True)
    }
    for row in found.iter_rows(named=True):
        assert set(row["attribute_evidence"]) <= set(own[row["item_id"]])


def test_disliked_evidence_is_never_cited_and_users_without_likes_are_counted() -> None:
    tables, evidence = world()
    disliked = evidence.with_columns(pl.lit("disliked").alias("polarity"))
    found, facts = run(tables, disliked)
    assert found["liked_evidence"].list.len().sum() == 0
    assert facts["users_without_liked"] == 4


def test_users_and_items_without_profiles() -> None:
    tables, evidence = world()
    bare = RerankTables(
        **{
            **vars(tables), "item_profiles": tables.item_profiles.clear(),
            "user_profiles": tables.user_profiles.clear(),
        }
    )  # fmt: skip
    found, _ = run(bare, evidence)
    assert found.height == tables.candidates.height


def test_one_request_per_user_or_as_many_as_configured() -> None:
    tables, evidence = world()

    def by_rule(request: Request[Any, Any]) -> Any:
        return request.purpose.rule(request.variables)

    for batch, requests in ((20, 4), (7, 12)):
        provider = Scripted(by_rule, checked=True)
        found, facts = run(tables, evidence, provider, batch=batch)
        assert len(provider.asked) == requests
        assert found.height == 80
        assert facts["reasons_by_model"] == {"scripted": 80}


def test_only_the_reranked_ones_are_explained() -> None:
    tables, evidence = world()
    found, _ = run(tables, evidence, titles=6)
    assert found["rank"].max() == 6
    assert found.height == 4 * 6


def test_one_users_failure_does_not_harm_another() -> None:
    tables, evidence = world()

    def moody(request: Request[Any, Any]) -> Any:
        if request.subject == "user:3":
            raise LLMUnavailable("reset")
        return request.purpose.rule(request.variables)

    found, facts = run(tables, evidence, Scripted(moody))
    by_rules, _ = run(tables, evidence)
    assert found["explanation"].equals(by_rules["explanation"])
    models = found.group_by("user_id").agg(pl.col("model").unique()).sort("user_id")["model"]
    assert models.to_list() == [["scripted"], ["scripted"], ["rules"], ["scripted"]]
    assert (facts["fallback_users"], facts["fallback_items"], facts["failed_requests"]) == (
        1,
        20,
        1,
    )


def test_the_end_of_the_budget_ends_the_run() -> None:
    tables, evidence = world()

    def broke(request: Request[Any, Any]) -> Any:
        raise BudgetExceeded("5 dollars are spent")

    with pytest.raises(BudgetExceeded):
        run(tables, evidence, Scripted(broke))


SAID = ("It  is\ngood.", "You liked “Some Title That Nobody Made”, as many did.")


def lie(data: st.DataObject, variables: ExplanationInput) -> ExplanationAnswer:
    """Any reasons at all: lost, invented and doubled ids, false evidence."""
    names = st.sampled_from([*(one.id for one in variables.items), "invented"])
    cited = st.sampled_from([*(one.id for one in variables.liked), "unseen"])
    keys = st.sampled_from(["genre:Crime", "tag:False", *variables.items[0].attributes])
    one = st.builds(
        Reason, id=names, sentence=st.sampled_from(SAID),
        liked_ids=st.tuples(cited) | st.just(()), attributes=st.tuples(keys) | st.just(()),
    )  # fmt: skip
    return ExplanationAnswer(reasons=tuple(data.draw(st.lists(one, max_size=8))))


TABLES, EVIDENCE = world(n_users=2, depth=4)


@given(st.data())
def test_whatever_a_lying_model_says_every_reason_holds(data: st.DataObject) -> None:
    provider = Scripted(lambda request: lie(data, request.variables))
    found, facts = run(TABLES, EVIDENCE, provider)
    assert found.height == 8
    asked = {request.subject.removeprefix("user:"): request.variables for request in provider.asked}
    for row in found.iter_rows(named=True):
        variables = asked[str(row["user_id"])]
        item = next(one for one in variables.items if one.id == str(row["item_id"]))
        written = Reason(
            id=item.id, sentence=row["explanation"],
            liked_ids=tuple(map(str, row["liked_evidence"])),
            attributes=tuple(row["attribute_evidence"]),
        )  # fmt: skip
        assert not faults_of(variables, item, written)
        assert (row["model"] == "scripted") == (row["explanation"] == "It is good.")
        assert "Nobody Made" not in row["explanation"]
    assert facts["fallback_items"] == found.filter(pl.col("model") == "rules").height


def test_citations_outside_the_causes_are_counted() -> None:
    def liar(request: Request[Any, Any]) -> Any:
        shown = request.variables.items
        foreign = Reason(id=shown[0].id, sentence="Yes.", liked_ids=("unseen",))
        named = Reason(id=shown[1].id, sentence="You liked “Some Title That Nobody Made”.")
        honest = [Reason(id=one.id, sentence="It is good.") for one in shown[2:]]
        return ExplanationAnswer(reasons=(foreign, named, *honest))

    found, facts = run(TABLES, EVIDENCE, Scripted(liar))
    assert facts["citations_outside_causes"] == facts["fallback_items"] == 2 * 2
    assert set(found.filter(pl.col("model") == "scripted")["explanation"]) == {"It is good."}


def test_another_order_of_a_list_asks_nothing_else() -> None:
    tables, evidence = world()
    turned = tables.candidates.with_columns(
        pl.len().over("user_id").cast(pl.Int32) + 1 - pl.col("rank").alias("rank")
    ).with_columns(pl.col("score") * -1)
    other = RerankTables(**{**vars(tables), "candidates": turned.sort("user_id", "rank")})

    def by_rule(request: Request[Any, Any]) -> Any:
        return request.purpose.rule(request.variables)

    asked, lists = [], []
    for one in (tables, other):
        provider = Scripted(by_rule, checked=True)
        found, _ = run(one, evidence, provider, batch=7)
        asked.append([render(EXPLANATION.name, request.variables) for request in provider.asked])
        lists.append(found)
    assert asked[0] == asked[1]
    keys = ["user_id", "item_id"]
    assert not lists[0].select(keys).equals(lists[1].select(keys))


# What prompts show of causes, and the numbers that are filled in


def counted(*causes: Cause) -> ExplanationInput:
    target = known("t", "Fargo", "Crime")
    return ExplanationInput(
        taste=Taste(), liked=(GREASE, HEAT), items=(caused(target, causes=causes),)
    )


def test_a_prompt_shows_strengths_in_a_stable_order_and_no_numbers() -> None:
    one = counted(
        Cause(id="h", influence=97, strength="strong", people=40, people_both=30),
        Cause(id="g", influence=100, strength="main"), Cause(id="a", strength="strong"),
    )  # fmt: skip
    moved = counted(
        Cause(id="g", influence=100, strength="main"), Cause(id="a", strength="strong"),
        Cause(id="h", influence=91, strength="strong", people=41, people_both=31),
    )  # fmt: skip
    assert one.items[0].causes_shown == [
        {"liked_id": "g", "influence": "main"}, {"liked_id": "a", "influence": "strong"},
        {"liked_id": "h", "influence": "strong", "counted": True},
    ]  # fmt: skip
    assert one.items[0].causes_shown == moved.items[0].causes_shown


def test_places_for_numbers_are_filled_with_those_of_the_first_cited_title() -> None:
    asked = counted(Cause(id="g", people=40, people_both=30), Cause(id="h"))
    said = "Of the {people} people who liked “Grease”, {of_them} liked this."
    good = Reason(id="t", sentence=said, liked_ids=("g", "h"))
    assert not faults_of(asked, asked.items[0], good)
    found = with_numbers(asked.items[0], good)
    assert found.sentence == "Of the 40 people who liked “Grease”, 30 liked this."
    plain = Reason(id="t", sentence="Like “Grease”.", liked_ids=("g",))
    assert with_numbers(asked.items[0], plain) == plain
    for cited in ((), ("h",), ("h", "g")):
        bad = Reason(id="t", sentence=said, liked_ids=cited)
        assert "places for numbers" in str(faults_of(asked, asked.items[0], bad))


def test_of_implicit_feedback_people_chose_titles_and_nobody_liked_any() -> None:
    crime = known("t", "Fargo", "Crime", tags=("Heist",))
    items = (
        caused(crime, HEAT), caused(known("u", "Evita", "Musical"), GREASE),
        caused(known("v", "Alien"), causes=(Cause(id="g", people=40, people_both=30),)),
        caused(known("w", "Blade"), causes=(Cause(id="h"),)),
        *(caused(known(f"x{n}", f"Film {n}"), causes=(), people=n, rests_on="popularity")
          for n in (0, 9)),
    )  # fmt: skip
    for has_liked in (True, False):
        asked = ExplanationInput(
            taste=Taste(), liked=(GREASE, HEAT), items=items * 4, has_liked=has_liked, implicit=True
        )
        said = [one.sentence for one in explain_with_rules(asked).reasons]
        assert not any("lik" in one.casefold().replace("like ", "") for one in said), said
        assert sum("chose" in one.casefold() for one in said) > len(said) / 2
        assert asked.did == "chose"


def test_no_sentence_has_three_parts() -> None:
    causes = (Cause(id="g", people=40, people_both=30), Cause(id="h", influence=60))
    items = tuple(caused(known(f"x{n}", f"Film {n}"), causes=causes) for n in range(12))
    asked = ExplanationInput(taste=Taste(), liked=(GREASE, HEAT), items=items)
    for one in explain_with_rules(asked).reasons:
        assert set(one.liked_ids) == {"g", "h"}
        assert one.sentence.count(";") <= 1
        assert readable(one.sentence), one.sentence
