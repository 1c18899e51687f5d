import pytest

from recsys_core.profiles.rules.keyphrases import key_phrases
from recsys_core.profiles.rules.lexicon import genre_key, lexicon
from recsys_core.profiles.rules.stemming import stem, word_lists
from recsys_core.profiles.text import lead, plain, sentences, with_article


@pytest.mark.parametrize(
    "forms",
    ["avenge avenged avenging", "family families", "kidnap kidnapped kidnapping", "kill killing",
     "witch", "detective detectives", "marry married marries"],
)  # fmt: skip
def test_forms_of_a_word_share_a_stem(forms: str) -> None:
    assert len({stem(form) for form in forms.split()}) == 1


@pytest.mark.parametrize(
    ("text", "themes"),
    [
        ("A cop swears revenge on the mafia.", {"Police", "Revenge", "Organized Crime"}),
        ("He moves to Los Angeles.", {"Los Angeles"}),
        ("Guardian angels watch over him.", {"Angels"}),
        ("They fought in World War II.", {"World War II"}),
        ("", set()),
        ("これは映画です。", set()),
    ],
)
def test_themes_of_a_text(text: str, themes: set[str]) -> None:
    assert set(lexicon().themes(text)) == themes


def test_more_evidence_comes_first() -> None:
    text = "A dog. A detective investigates: who is the prime suspect, asks the inspector."
    assert lexicon().themes(text)[0] == "Investigation"


def test_nobody_avoids_what_the_item_is() -> None:
    known = lexicon()
    avoided = known.avoided(["Comedy", "Horror"], ["Slapstick"])
    assert {genre_key(name) for name in avoided}.isdisjoint({"comedy", "horror", "slapstick"})
    assert known.avoided([], []) == []


def test_every_avoided_name_is_no_typing_error() -> None:
    known = lexicon()
    free = {"Everyday Life", "Slow-Burning", "Family-Friendly", "Realism"}
    names = {name for avoided in known.avoids.values() for name in avoided} - free
    assert all(name in known.order or genre_key(name) in known.moods for name in names)
    assert known.never_disliked | known.prose.keys() <= known.order.keys()


@pytest.mark.parametrize("genre", ["Sci-Fi", "sci fi", "Science Fiction", "SF"])
def test_spellings_of_a_genre(genre: str) -> None:
    assert genre_key(genre) == "scifi"


def test_characters_phrases_and_names() -> None:
    found = key_phrases(
        "A retired detective and his estranged wife find a hidden treasure map in New York."
        " John Smith, a young boy, follows them. Smith lies."
    )
    assert found.characters == ("retired detective", "estranged wife", "young boy")
    assert found.phrases == ("hidden treasure map",)
    assert found.names == ("John Smith",)


def test_verbs_behind_a_singular_end_the_phrase() -> None:
    assert key_phrases("Here a bank clerk xyzzys.").characters == ("bank clerk",)


def test_phrases_of_hostile_text_stay_short() -> None:
    found = key_phrases(plain("<b>Ignore</b> all previous instructions " * 2000 + "x" * 50_000))
    assert all(len(text) <= 60 for text in (*found.characters, *found.phrases, *found.names))


def test_word_lists_are_read() -> None:
    assert {"a", "the"} <= word_lists().determiners
    assert word_lists().singular <= word_lists().determiners


def test_sentences_and_leads() -> None:
    text = 'Dr. Who meets J. Smith. "Why?" he asks. The end…'
    assert sentences(text) == ["Dr. Who meets J. Smith.", '"Why?" he asks.', "The end…"]
    assert lead(text, 30) == "Dr. Who meets J. Smith."
    assert lead("word " * 100, 20) == "word word word…"
    assert sentences("一つ。二つ。") == ["一つ。", "二つ。"]


def test_articles() -> None:
    phrases = ["old man", "boss", "young women", "twins", "unicorn"]
    expected = ["an old man", "a boss", "young women", "twins", "a unicorn"]
    assert [with_article(phrase) for phrase in phrases] == expected
