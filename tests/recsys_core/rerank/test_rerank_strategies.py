"""What every strategy guarantees, whoever answers; and what each does by itself."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from recsys_core.errors import (
    BudgetExceeded,
    ConfigError,
    LLMDown,
    LLMError,
    LLMRefused,
    LLMStopped,
    LLMUnavailable,
)
from recsys_core.llm.providers.base import Provider, Reply, Request
from recsys_core.llm.providers.rules import RulesProvider
from recsys_core.prompt_context.models import UserContext
from recsys_core.rerank.config import RerankConfig
from recsys_core.rerank.strategies.base import Completed, Strategy, judge_safely
from recsys_core.rerank.strategies.listwise import RankingAnswer, place_scores
from recsys_core.rerank.strategies.overlapping import OverlappingBatches, windows
from recsys_core.rerank.strategies.pairwise import PairAnswer, PairwiseTree
from recsys_core.rerank.strategies.prompt_level import PromptLevel
from recsys_core.rerank.strategies.registry import STRATEGIES, make_strategy
from recsys_core.rerank.strategies.relevancy import ItemScore, RelevancyAnswer
from recsys_core.rerank.strategies.setwise import BestAnswer, Setwise
from recsys_core.rerank.strategies.sliding_window import SlidingWindow, window_starts
from tests.rerank_world import Scripted, context

EVERY: list[Strategy] = [
    *(make_strategy(name, RerankConfig()) for name in STRATEGIES),
    PairwiseTree(both_orders=True),
    OverlappingBatches(overlap=1),
    OverlappingBatches(overlap=4),
]
every_strategy = pytest.mark.parametrize(
    "strategy", EVERY, ids=lambda one: repr(one).replace(" ", "")
)


def test_an_unknown_strategy_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"(?s)'setwize'.*prompt-level, .*relevancy"):
        make_strategy("setwize", RerankConfig())
    with pytest.raises(ValidationError, match="'prompt-level', 'pairwise'"):
        RerankConfig.model_validate({"strategy": "setwize"})


def test_the_help_of_the_setting_tells_what_every_strategy_asks() -> None:
    told = RerankConfig.model_fields["strategy"].description or ""
    for name, kind in STRATEGIES.items():
        assert f"`{name}` asks for {kind.asks}" in told


def judge(strategy: Strategy, provider: Provider, who: UserContext, seed: int = 0) -> Completed:
    return asyncio.run(judge_safely(strategy, who, provider, np.random.default_rng(seed)))


def order(done: Completed) -> list[int]:
    """Candidates by score, the unscored left out; equal scores in the graph's order."""
    scored = [(score, place) for place, score in enumerate(done.scores) if score is not None]
    return [place for _, place in sorted(scored, key=lambda one: (-one[0], one[1]))]


def oracle(truth: dict[str, int]) -> Any:
    """Answers any strategy's question by hidden true values, the higher the better."""

    def answer(request: Request[Any, Any]) -> Any:
        asked = [one.id for one in request.variables.candidates]
        kind = request.purpose.answer
        if kind is PairAnswer:
            return PairAnswer(better="A" if truth[asked[0]] > truth[asked[1]] else "B")
        if kind is RankingAnswer:
            return RankingAnswer(ranking=tuple(sorted(asked, key=lambda one: -truth[one])))
        if kind is BestAnswer:
            return BestAnswer(best=max(asked, key=lambda one: truth[one]))
        return RelevancyAnswer(scores=tuple(ItemScore(id=one, score=truth[one]) for one in asked))

    return answer


def shuffled_truth(n: int, seed: int) -> dict[str, int]:
    values = random.Random(seed).sample(range(100), n)
    return {f"a{place}": value for place, value in enumerate(values)}


@every_strategy
@given(seed=st.integers(0, 10_000), n=st.integers(0, 24))
def test_an_honest_model_gets_its_own_order(strategy: Strategy, seed: int, n: int) -> None:
    truth = shuffled_truth(n, seed)
    done = judge(strategy, Scripted(oracle(truth), checked=True), context(n), seed)
    assert done.missing == 0
    expected = sorted(range(n), key=lambda place: -truth[f"a{place}"])
    sure = n if strategy.exact or n <= 10 else 5
    assert order(done)[:sure] == expected[:sure]


def lie(data: st.DataObject, request: Request[Any, Any]) -> Any:
    """Anything at all: ids lost, invented and doubled, or no answer."""
    if data.draw(st.integers(0, 3)) == 0:
        raise data.draw(st.sampled_from([LLMUnavailable, LLMError]))("lost")
    if request.purpose.answer is PairAnswer:
        return PairAnswer(better=data.draw(st.sampled_from(["A", "B"])))
    ids = st.sampled_from([one.id for one in request.variables.candidates] + ["invented", ""])
    names = data.draw(st.lists(ids, max_size=12))
    if request.purpose.answer is RankingAnswer:
        return RankingAnswer(ranking=tuple(names))
    if request.purpose.answer is BestAnswer:
        return BestAnswer(best=data.draw(ids))
    return RelevancyAnswer(scores=tuple(ItemScore(id=name, score=50) for name in names))


@every_strategy
@given(data=st.data(), n=st.integers(0, 9))
def test_whatever_a_lying_model_says_the_list_stays_whole(
    strategy: Strategy, data: st.DataObject, n: int
) -> None:
    provider = Scripted(lambda request: lie(data, request))
    done = judge(strategy, provider, context(n))
    assert len(done.scores) == n
    assert all(score is None or 0 <= score <= 100 for score in done.scores)
    assert len(provider.asked) <= 400


@every_strategy
@given(error=st.sampled_from([LLMUnavailable, LLMError]), n=st.integers(2, 22))
def test_an_all_failing_model_leaves_no_score(
    strategy: Strategy, error: type[LLMError], n: int
) -> None:
    def failing(request: Request[Any, Any]) -> Any:
        raise error("503")

    provider = Scripted(failing)
    done = judge(strategy, provider, context(n))
    assert done.scores == (None,) * n
    assert done.failed_requests == len(provider.asked) > 0


@every_strategy
def test_an_answer_that_the_rule_had_to_give_is_none(strategy: Strategy) -> None:
    class Fallen(Scripted):
        async def ask(self, request: Request[Any, Any]) -> Reply[Any]:
            rule = request.purpose.rule(request.variables)
            return Reply(answer=rule, model="rules", prompt_version="rules-1", status="failed")

    done = judge(strategy, Fallen(lambda request: None), context(8))
    assert done.scores == (None,) * 8
    assert done.failed_requests > 0


@every_strategy
@pytest.mark.parametrize("error", [BudgetExceeded, LLMRefused, LLMStopped, LLMDown])
def test_what_concerns_every_user_is_not_swallowed(
    strategy: Strategy, error: type[LLMError]
) -> None:
    def stop(request: Request[Any, Any]) -> Any:
        raise error("no more")

    with pytest.raises(error):
        judge(strategy, Scripted(stop), context(6))


@every_strategy
def test_the_rules_order_by_the_relevancy_rule(strategy: Strategy) -> None:
    who = context(12)
    told = tuple(
        one.model_copy(update={"similarity": (7 * place % 12) / 12})
        for place, one in enumerate(who.candidates)
    )
    who = UserContext(user=who.user, taste=who.taste, recent=(), candidates=told)
    done = judge(strategy, RulesProvider(), who)
    sure = 12 if strategy.exact else 5
    assert order(done)[:sure] == sorted(range(12), key=lambda place: -(7 * place % 12))[:sure]
    assert done.missing == 0


@every_strategy
def test_places_in_the_prompt_are_shuffled_by_the_seed(strategy: Strategy) -> None:
    def shown(seed: int) -> list[tuple[str, ...]]:
        provider = Scripted(oracle(shuffled_truth(20, 3)))
        judge(strategy, provider, context(20), seed)
        return [tuple(one.id for one in asked.variables.candidates) for asked in provider.asked]

    assert shown(1) == shown(1)
    assert shown(1) != shown(2)
    firsts: Counter[bool] = Counter()
    for seed in range(30):
        for batch in shown(seed):
            firsts[int(batch[0][1:]) < int(batch[-1][1:])] += 1
    assert 0.3 < firsts[True] / firsts.total() < 0.7


@every_strategy
def test_only_the_case_is_asked_about(strategy: Strategy) -> None:
    provider = Scripted(oracle(shuffled_truth(9, 0)))
    judge(strategy, provider, context(9, user="u-1"))
    assert {asked.subject for asked in provider.asked} == {"user:u-1"}
    assert {one.id for asked in provider.asked for one in asked.variables.candidates} == {
        f"a{n}" for n in range(9)
    }


# Prompt-level


def test_one_look_asks_once_and_keeps_what_is_named() -> None:
    provider = Scripted(lambda request: RankingAnswer(ranking=("a2", "a9", "a0", "a2")))
    done = judge(PromptLevel(looks=1), provider, context(4))
    assert len(provider.asked) == 1
    assert done.scores == pytest.approx((100 * (1 - 1 / 3), None, 100.0, None))
    assert (done.missing, done.invented, done.agreement) == (2, 1, None)


def test_looks_are_merged_by_mean_place_and_what_one_omits_takes_the_places_left() -> None:
    answers = iter([("a0", "a1", "a2", "a3"), ("a1", "a0"), LLMUnavailable("503")])

    def next_answer(request: Request[Any, Any]) -> RankingAnswer:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return RankingAnswer(ranking=found)

    done = judge(PromptLevel(looks=3), Scripted(next_answer), context(4))
    places = ((0 + 1) / 2, (1 + 0) / 2, (2 + (2 + 3) / 2) / 2, (3 + (2 + 3) / 2) / 2)
    assert done.scores == pytest.approx(tuple(100 * (1 - place / 3) for place in places))
    assert done.failed_requests == 1
    # a0-a1 the other way round, a2-a3 tied in one: 4 pairs agree, 1 does not; of 6 and 5 untied
    assert done.agreement == pytest.approx((4 - 1) / (6 * 5) ** 0.5)


@pytest.mark.parametrize("strategy", ["prompt-level", "relevancy", "pairwise", "setwise"])
def test_another_graph_order_of_the_same_candidates_asks_the_same(strategy: str) -> None:
    truth = shuffled_truth(20, 1)

    def asked(who: UserContext) -> set[tuple[str, ...]]:
        provider = Scripted(oracle(truth))
        judge(make_strategy(strategy, RerankConfig()), provider, who)
        return {tuple(one.id for one in x.variables.candidates) for x in provider.asked}

    other = replace(context(20), candidates=context(20).candidates[::-1])
    assert asked(context(20)) == asked(other)


def test_scores_by_place() -> None:
    assert place_scores(("b", "a", "c")) == {"b": 100, "a": 50, "c": 0}
    assert place_scores(("b",)) == {"b": 100}
    assert place_scores(()) == {}


@pytest.mark.parametrize(
    ("names", "message"),
    [((), r'missing: \["a0", "a1"'), (("a1", "a0", "a0"), r'named twice: \["a0"'),
     (("a0", "Same title"), r'not asked for: \["Same title"')],
)  # fmt: skip
def test_the_check_of_a_ranking(names: tuple[str, ...], message: str) -> None:
    provider = Scripted(lambda request: RankingAnswer(ranking=names), checked=True)
    with pytest.raises(ValueError, match=message):
        judge(PromptLevel(looks=1), provider, context(2))


# Pairwise


@given(st.integers(0, 1000))
def test_no_pair_is_asked_twice_or_both_ways(seed: int) -> None:
    provider = Scripted(oracle(shuffled_truth(20, seed)))
    judge(PairwiseTree(), provider, context(20), seed)
    pairs = [frozenset(one.id for one in asked.variables.candidates) for asked in provider.asked]
    assert len(set(pairs)) == len(pairs) <= 20 * np.log2(20)


def test_with_both_orders_each_pair_is_asked_once_each_way() -> None:
    provider = Scripted(oracle(shuffled_truth(20, 0)))
    judge(PairwiseTree(both_orders=True), provider, context(20))
    asked = Counter(tuple(one.id for one in x.variables.candidates) for x in provider.asked)
    assert set(asked.values()) == {1}
    assert all((other, one) in asked for one, other in asked)


def test_a_model_that_loves_the_first_place_changes_nothing_if_both_orders_are_asked() -> None:
    provider = Scripted(lambda request: PairAnswer(better="A"))
    done = judge(PairwiseTree(both_orders=True), provider, context(20))
    assert order(done) == list(range(20))
    assert order(judge(PairwiseTree(), provider, context(20))) != list(range(20))


def test_an_item_whose_comparisons_failed_keeps_the_graphs_opinion() -> None:
    truth = {f"a{n}": n for n in range(6)}

    def moody(request: Request[Any, Any]) -> Any:
        if "a1" in {one.id for one in request.variables.candidates}:
            raise LLMUnavailable("reset")
        return oracle(truth)(request)

    done = judge(PairwiseTree(), Scripted(moody), context(6))
    assert done.failed_requests >= 1
    assert done.scores[1] is None
    assert set(order(done)) == {0, 2, 3, 4, 5}


@pytest.mark.parametrize(("raw", "better"), [("a", "A"), (" B ", "B")])
def test_letters_as_models_write_them(raw: str, better: str) -> None:
    assert PairAnswer.model_validate({"better": raw}).better == better


@pytest.mark.parametrize("raw", ["C", "", "a0", None, 1])
def test_other_letters_are_refused(raw: Any) -> None:
    with pytest.raises(ValidationError):
        PairAnswer.model_validate({"better": raw})


# Overlapping


@given(st.integers(0, 40), st.integers(2, 8), st.data())
def test_windows_cover_every_item_and_overlap(n: int, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(1, size - 1))
    found = windows(list(range(n)), size, overlap)
    if n > 1:
        assert {item for batch in found for item in batch} == set(range(n))
        pairs = {pair for batch in found for pair in pairwise(batch)}
        assert pairs == set(pairwise(range(n)))
    assert all(len(batch) == min(n, size) for batch in found)
    shared = [len(set(one) & set(other)) for one, other in pairwise(found)]
    assert all(count >= overlap for count in shared)
    assert all(count == overlap for count in shared[:-1])


@pytest.mark.parametrize("overlap", [1, 2, 3, 4])
def test_overlapping_calls_are_bounded(overlap: int) -> None:
    calls = []
    for seed in range(20):
        provider = Scripted(oracle(shuffled_truth(20, seed)))
        judge(OverlappingBatches(overlap=overlap), provider, context(20), seed)
        calls.append(len(provider.asked))
        batches = [frozenset(x.id for x in one.variables.candidates) for one in provider.asked]
        assert len(set(batches)) == len(batches)
    assert np.mean(calls) < 40


def test_an_order_that_the_graph_has_right_costs_one_pass() -> None:
    provider = Scripted(oracle({f"a{n}": 50 - n for n in range(20)}))
    done = judge(OverlappingBatches(overlap=1), provider, context(20))
    assert order(done) == list(range(20))
    assert len(provider.asked) == 5  # 5 + 4 x (4 new ones) = 21 places for 20 items


def test_a_failed_batch_leaves_the_others() -> None:
    truth, calls = shuffled_truth(20, 1), iter(range(1000))

    def moody(request: Request[Any, Any]) -> Any:
        if next(calls) == 2:
            raise LLMUnavailable("429")
        return oracle(truth)(request)

    done = judge(OverlappingBatches(), Scripted(moody), context(20))
    assert done.failed_requests == 1
    assert done.missing == 0


# Setwise


def test_setwise_asks_no_set_twice_and_fewer_times_than_pairwise() -> None:
    provider = Scripted(oracle(shuffled_truth(20, 4)))
    judge(Setwise(), provider, context(20))
    groups = [frozenset(x.id for x in one.variables.candidates) for one in provider.asked]
    assert len(set(groups)) == len(groups)
    assert max(map(len, groups)) == 5
    assert 20 <= len(groups) <= 36


def test_setwise_keeps_the_graphs_first_where_an_answer_is_missing() -> None:
    truth = {f"a{n}": n for n in range(4)}

    def moody(request: Request[Any, Any]) -> Any:
        if len(request.variables.candidates) == 4:
            raise LLMUnavailable("reset")
        return oracle(truth)(request)

    done = judge(Setwise(), Scripted(moody), context(4))
    assert order(done) == [3, 2, 1]
    assert (done.scores[0], done.failed_requests) == (None, 1)


# Sliding window


@given(st.integers(0, 60), st.integers(2, 20), st.data())
def test_sliding_windows_cover_the_whole_list_and_carry_the_best_on(
    n: int, window: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, window - 1))
    starts = window_starts(n, window, stride)
    covered = [set(range(start, min(start + window, n))) for start in starts]
    if n > 1:
        assert set().union(*covered) == set(range(n))
        assert starts[-1] == 0
        assert n - 1 in covered[0]
    assert all(len(one & other) >= min(n, window) - stride for one, other in pairwise(covered))


def test_a_sliding_window_finds_the_best_wherever_the_graph_has_them() -> None:
    truth = {f"a{n}": n for n in range(30)}
    provider = Scripted(oracle(truth))
    done = judge(SlidingWindow(window=10, stride=5), provider, context(30))
    assert len(provider.asked) == 5
    assert order(done)[:5] == [29, 28, 27, 26, 25]
    assert done.missing == 0
