import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_core.prompt_context.models import Candidate, CandidatesInput, Taste
from recsys_core.rerank.strategies.relevancy import score_by_rules
from recsys_core.rerank.strategies.rule_relevance import relevance

TASTE = Taste(
    genres=("Crime", "Thriller", "Drama"), tags=("Detective", "Gritty"), dislikes=("Musical",)
)
labels = st.lists(st.sampled_from(["Crime", "Drama", "Musical", "Détente", "x" * 60]), max_size=6)
similarity = st.none() | st.floats(-1, 1) | st.just(float("nan"))


def item(*genres: str, tags: tuple[str, ...] = (), similarity: float | None = None) -> Candidate:
    return Candidate(id="1", title="T", genres=genres, tags=tags, similarity=similarity)


@given(labels, labels, labels, labels, labels, similarity)
def test_any_input_gives_a_score_in_range(
    genres: list[str], tags: list[str], wanted: list[str], liked: list[str], dislikes: list[str],
    cosine: float | None,
) -> None:  # fmt: skip
    taste = Taste(genres=tuple(wanted), tags=tuple(liked), dislikes=tuple(dislikes))
    score = relevance(taste, item(*genres, tags=tuple(tags), similarity=cosine))
    assert isinstance(score, int)
    assert 0 <= score <= 100


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (item("Crime"), item("Western")),
        (item("Crime"), item("Drama")),  # the profile names the strongest first
        (item("Crime", tags=("Detective",)), item("Crime")),
        (item("Crime"), item("Crime", "Musical")),
        (item("Western"), item("Musical")),
        (item("CRIME"), item("Western")),
        (item("Crime", similarity=0.7), item("Crime", similarity=0.3)),
        (item("Crime", tags=("Detective", "Gritty")), item("Crime", tags=("Detective",))),
    ],
)
def test_what_counts(better: Candidate, worse: Candidate) -> None:
    assert relevance(TASTE, better) > relevance(TASTE, worse)


def test_nothing_known_is_neutral() -> None:
    assert relevance(Taste(), item()) == 50
    assert relevance(Taste(), item("Crime")) == relevance(TASTE, item()) == 50


def test_companions_and_order_change_nothing() -> None:
    one, other = item("Crime"), Candidate(id="2", title="U", genres=("Musical",))

    def scores(*candidates: Candidate) -> dict[str, int]:
        asked = CandidatesInput(taste=TASTE, recent=(), candidates=candidates)
        return {found.id: found.score for found in score_by_rules(asked).scores}

    assert scores(one, other) == scores(other, one) == scores(one) | scores(other)
