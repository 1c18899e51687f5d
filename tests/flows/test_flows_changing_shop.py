"""A nightly run after a small change: what it asks at a server of ours, and what its lists keep."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from recsys_core.columns import (
    CAUSE,
    DROP,
    INFLUENCE,
    ITEM,
    RECOMMENDATIONS,
    SIGN,
    STRENGTH,
    USER,
)
from recsys_core.explanations.attribution.strengths import MAIN, citable
from recsys_core.llm.request import templates
from tests.changing_shop import Nightly, Shop, changed, kept, recaused, run
from tests.flows.llm_run import KEY, KEY_ENV, Endpoint, killed

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
]

K = 10
"""Candidates that are judged."""
WHO = "u007"
EDITED = ["film-010", "film-032", "film-054"]
PARAMETERS = {
    "rerank.strategy": "relevancy", "rerank.candidates": str(K), "rerank.repeats": "1",
    "fusion.policy": "all", "fan_out.shard_users": "100", "llm.max_in_flight": "16",
    "graph.max_epochs": "10",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Nights:
    """Runs one after another, a change before each, and what was changed."""

    first: Nightly
    nothing: Nightly
    rating: Nightly
    overviews: Nightly
    item: Nightly
    raised: Nightly
    unbroken: Path
    """The lists of an unbroken run in a copy of the root that the killed one started from."""


def fine(received: object) -> str:
    return "ok"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Iterator[Nights]:
    place = tmp_path_factory.mktemp("nights")
    shop = Shop(folder=place / "data", users=30, items=90, per_user=12)
    shop.write()
    with pytest.MonkeyPatch.context() as patch, Endpoint(place, word=fine) as endpoint:
        patch.setenv(KEY_ENV, KEY)
        first = run(endpoint, "first", **PARAMETERS)
        nothing = run(endpoint, "nothing", **PARAMETERS)
        shop.append_rating(WHO)
        rating, unbroken = broken(endpoint, "rating")
        shop.edit_overviews(EDITED)
        overviews = run(endpoint, "overviews", **PARAMETERS)
        shop.add_item()
        item = run(endpoint, "item", **PARAMETERS)
        raise_versions(tmp_path_factory.mktemp("prompts"), patch)
        raised = run(endpoint, "raised", **PARAMETERS)
        yield Nights(
            first=first, nothing=nothing, rating=rating, overviews=overviews, item=item,
            raised=raised, unbroken=unbroken,
        )  # fmt: skip


def broken(endpoint: Endpoint, name: str) -> tuple[Nightly, Path]:
    """A run that is killed at its first judgement and then finished; and an unbroken one's lists.

    The unbroken one comes last, in a copy of the root as it was: it finds no answer of the other.
    """
    root = endpoint.place / "artifacts"
    before = shutil.copytree(root, endpoint.place / "before")
    mark = len(endpoint.prompts)
    arguments = endpoint.arguments(run_name=name, **PARAMETERS)
    killed(endpoint, arguments, after=lambda: len(endpoint.since(mark, "prompt_level")) > 0)
    at_kill = endpoint.since(mark)
    finished = run(endpoint, name, **PARAMETERS)
    finished.prompts[:0] = at_kill
    elsewhere = {"artifact_root": str(before), "runs_root": str(endpoint.place / "others")}
    unbroken = run(endpoint, name, **PARAMETERS, **elsewhere)
    return finished, Path(unbroken.summary.folder) / "recommendations.parquet"


def raise_versions(folder: Path, patch: pytest.MonkeyPatch) -> None:
    prompts = shutil.copytree(templates.FOLDER, folder / "raised")
    for path in prompts.glob("*.yaml"):
        text = path.read_text("utf-8")
        path.write_text(text.replace("version: ", "version: raised-", 1), "utf-8")
    patch.setattr(templates, "FOLDER", prompts)


def nobody(user: str) -> bool:
    return False


def test_the_first_run_chooses_and_a_second_one_asks_nothing(nights: Nights) -> None:
    first = nights.first.by_purpose()
    assert first["item_profile"] == 90
    assert first["prompt_level"] == 30 * K / 5
    assert first["explanation"] == 30
    assert "chosen anew" in nights.first.summary.changes[0]
    assert nights.nothing.calls == 0
    assert all(one.cached for one in nights.nothing.summary.steps)
    assert nights.nothing.summary.since_last is not None
    assert nights.nothing.summary.since_last.stability == 1


@pytest.mark.parametrize("night", ["rating", "overviews", "item"])
def test_a_small_change_goes_on_from_the_last_model(night: str, nights: Nights) -> None:
    told = getattr(nights, night).summary
    assert "went on from the run" in told.changes[0]
    assert told.since_last.stability > 0.9
    assert told.changes[1] == told.since_last.line()


def test_after_one_rating_its_user_is_asked_about_and_whose_candidates_changed(
    nights: Nights,
) -> None:
    before, after = nights.nothing, nights.rating
    # Those of the killed part are in no ledger of the finished run, and are the same kinds.
    assert after.by_purpose()["item_profile"] == 0
    assert after.asked_about("user_profile") <= {WHO}
    assert after.asked_about("prompt_level") <= {WHO} | changed(before, after, K)
    assert after.asked_about("explanation") <= (
        {WHO} | changed(before, after, K) | recaused(before, after)
    )
    # A user is a thirtieth of this shop, and a hundredth of the one that the bar is for.
    assert after.calls <= 0.05 * nights.first.calls * 100 / 30


def test_after_edited_overviews_those_are_asked_about_and_who_knows_or_gets_them(
    nights: Nights,
) -> None:
    before, after = nights.rating, nights.overviews
    shown = set(after.evidence.filter(pl.col(ITEM).is_in(EDITED))[USER])
    assert after.asked_about("item_profile") == set(EDITED)
    assert after.asked_about("user_profile") == shown
    got = after.holders(EDITED, K) | changed(before, after, K)
    assert after.asked_about("prompt_level") <= shown | got
    # A title that they liked is described anew where it is a cause.
    cited = set(after.attributions.filter(pl.col(CAUSE).is_in(EDITED))[USER])
    assert after.asked_about("explanation") <= shown | got | cited | recaused(before, after)


def test_after_an_unrated_item_it_is_asked_about_and_whose_candidates_changed(
    nights: Nights,
) -> None:
    before, after = nights.overviews, nights.item
    assert after.asked_about("item_profile") == {"film-new"}
    assert after.asked_about("user_profile") == set()
    assert after.asked_about("prompt_level") <= changed(before, after, K)
    others = changed(before, after, K) | recaused(before, after)
    assert after.asked_about("explanation") <= others


@pytest.mark.parametrize(
    ("before", "after"), [("nothing", "rating"), ("rating", "overviews"), ("overviews", "item")]
)
def test_causes_stay_what_they_were_unless_drops_speak_against_it(
    before: str, after: str, nights: Nights
) -> None:
    one, other = getattr(nights, before), getattr(nights, after)
    assert len(recaused(one, other) - {WHO}) <= 0.1 * 30
    may_be_cited = citable(other.attributions)
    assert may_be_cited[DROP].min() > 0
    assert may_be_cited[SIGN].min() == 1
    assert may_be_cited.filter(pl.col(STRENGTH) == MAIN)[INFLUENCE].min() >= 90


@pytest.mark.parametrize(
    ("before", "after", "but"),
    [("nothing", "rating", lambda user: user == WHO), ("rating", "overviews", None)],
    ids=["rating", "overviews"],
)
def test_the_others_keep_their_lists(
    before: str, after: str, but: Callable[[str], bool] | None, nights: Nights
) -> None:
    one, other = getattr(nights, before), getattr(nights, after)
    shown = set(other.evidence.filter(pl.col(ITEM).is_in(EDITED))[USER])
    touched = shown | one.holders(EDITED, K) | other.holders(EDITED, K)
    stayed = kept(one, other, but=but or touched.__contains__, k=K)
    assert stayed.top >= 0.95
    assert stayed.whole >= 0.9


def test_with_every_version_raised_everything_is_asked(nights: Nights) -> None:
    first, raised = nights.first.by_purpose(), nights.raised.by_purpose()
    assert raised["item_profile"] == first["item_profile"] + 1
    for purpose in ("prompt_level", "explanation"):
        assert raised[purpose] == first[purpose]
    assert raised["user_profile"] >= first["user_profile"]


def test_killed_and_finished_gives_the_bytes_of_an_unbroken_run(nights: Nights) -> None:
    finished = Path(nights.rating.summary.folder) / "recommendations.parquet"
    assert finished.read_bytes() == nights.unbroken.read_bytes()
    assert list(pl.read_parquet(finished).columns) == list(RECOMMENDATIONS)
