"""The pipeline with a model on loopback: counted calls, kills, changes, ceilings, and the key."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import polars as pl
import pytest

from flows.embed import embed
from flows.profile import profile
from recsys_core.columns import (
    ATTEMPTS,
    COST,
    EVIDENCE_HASH,
    GENRES,
    ITEM,
    LLM_CALLS,
    MODEL,
    PURPOSE,
    STARTED,
    STATUS,
    SUBJECT,
    TITLE,
    TOKENS_IN,
    TURN,
    USER,
    USERS,
    VERDICT,
    check,
)  # fmt: skip
from recsys_core.columns import KEY as KEY_COLUMN
from recsys_core.embedding import labels_of
from recsys_core.errors import BudgetExceeded
from recsys_core.llm.request import templates
from recsys_core.report.summary import StepSummary, Summary
from tests.flows.llm_run import (
    KEY,
    KEY_ENV,
    N_USERS,
    Endpoint,
    Prompt,
    command,
    killed,
    repeated,
    write_data,
)
from tests.small_data import N_ITEMS

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(400)]

LOOKS = 3
FAILED_ATTEMPTS = 2
"""One item's first two attempts fail (see `llm_run.troubled`)."""
CHANGED = ("film-05", "film-22", "film-40")


@dataclass(frozen=True, kw_only=True)
class First:
    """A run that was killed in the middle of the user profiles, and then run to its end."""

    summary: Summary
    said: str
    at_kill: int
    prompts: list[Prompt]

    def artifact(self, step: str) -> Path:
        return Path(next(one.artifact for one in self.summary.steps if one.step == step))

    def table(self, step: str, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.artifact(step) / f"{name}.parquet")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Iterator[Endpoint]:
    place = tmp_path_factory.mktemp("llm")
    write_data(place / "data")
    with pytest.MonkeyPatch.context() as patch, Endpoint(place) as made:
        patch.setenv(KEY_ENV, KEY)
        yield made


@pytest.fixture(scope="module")
def first(endpoint: Endpoint) -> First:
    arguments = endpoint.arguments(run_name="first")
    endpoint.server.latency = 0.05
    said = killed(
        endpoint, arguments, after=lambda: len(endpoint.since(0, "user_profile")) >= N_USERS
    )
    endpoint.server.latency = 0.0
    at_kill = len(endpoint.prompts)
    ended = command(arguments)
    assert ended.status == 0, ended
    summary = summary_of(endpoint, "first")
    return First(
        summary=summary,
        said=said + ended.printed + ended.logged,
        at_kill=at_kill,
        prompts=list(endpoint.prompts),
    )


def summary_of(endpoint: Endpoint, run: str) -> Summary:
    path = endpoint.place / "runs" / run / "summary.json"
    return Summary.model_validate_json(path.read_text())


def ledger(first: First) -> pl.DataFrame:
    """Every call of both attempts, those of the step which the first one finished among them."""
    return pl.read_parquet(Path(first.summary.folder) / "llm_calls.parquet")


# Killed in the middle


def test_a_killed_run_goes_on_and_asks_nothing_twice(first: First) -> None:
    before, after = first.prompts[: first.at_kill], first.prompts[first.at_kill :]
    assert {one.purpose for one in before} == {"item_profile", "user_profile"}
    assert "item_profile" not in {one.purpose for one in after}, "that step was finished"
    cached = {one.step for one in first.summary.steps if one.cached}
    assert cached == {"ingest", "enrich", "split", "test_split", "item_profiles"}
    in_flight = repeated(first.prompts) - FAILED_ATTEMPTS
    assert 0 <= in_flight <= 4, "only what was under way at the kill may be asked again"


def test_the_ledger_is_the_servers_log(first: First) -> None:
    calls = check(ledger(first), LLM_CALLS, table="llm_calls")
    # What was under way at the kill is counted, too, as is what was about to leave.
    assert 0 <= calls[ATTEMPTS].sum() - len(first.prompts) <= 4
    calls = calls.filter(pl.col(VERDICT) != "lost")
    asked = {(one.text, one.repair): (one.purpose, one.tokens_in) for one in first.prompts}
    written = Counter(calls.select(PURPOSE, TOKENS_IN).iter_rows())
    assert written == Counter(asked.values())
    assert calls[KEY_COLUMN].n_unique() == calls.height == len(asked)


def test_verdicts_and_attempts_tell_what_happened(first: First) -> None:
    calls = ledger(first)
    items = calls.filter(pl.col(PURPOSE) == "item_profile")
    own = {
        subject: rows.sort(STARTED).select(VERDICT, ATTEMPTS).rows()
        for (subject,), rows in items.group_by(SUBJECT)
    }
    assert own["item:film-07"] == [("ok", 3)]
    assert own["item:film-09"] == [("invalid", 1), ("failed", 1)]
    assert own["item:film-11"] == [("invalid", 1), ("repaired", 1)]
    assert own["item:film-13"] == [("ok", 1)]
    profiles = first.table("item_profiles", "item_profiles")
    status = dict(profiles.select(ITEM, STATUS).iter_rows())
    assert Counter(status.values()) == {"ok": N_ITEMS - 2, "failed": 1, "repaired": 1}
    assert status["film-09"] == "failed"
    assert status["film-11"] == "repaired"
    written = dict(profiles.select(ITEM, MODEL).iter_rows())
    assert {item for item, model in written.items() if model == "rules"} == {"film-09"}
    assert first.summary.facts["item_profiles"]["failed_answers"] == 1


def test_the_summary_counts_what_the_run_rests_on(first: First) -> None:
    calls = pl.read_parquet(Path(first.summary.folder) / "llm_calls.parquet")
    assert first.summary.llm.calls == calls.height
    assert first.summary.llm.tokens_in == calls[TOKENS_IN].sum()
    assert first.summary.llm.cost_usd == calls[COST].sum() == 0
    assert set(calls[PURPOSE]) == {"item_profile", "user_profile", "prompt_level", "explanation"}
    assert "fake: " in first.said.replace("openai/", "")
    assert "user_profile: " in first.said


# Only what is training data


def test_profile_prompts_show_the_training_evidence_and_nothing_else(first: First) -> None:
    titles = dict(first.table("enrich", "items").select(ITEM, TITLE).iter_rows())
    evidence = first.table("user_profiles", "evidence")
    train, test = first.table("split", "train"), first.table("test_split", "test")
    assert evidence.join(train, on=[USER, ITEM], how="anti").is_empty()
    assert evidence.join(test, on=[USER, ITEM], how="semi").is_empty()
    batches = Counter(
        frozenset(titles[item] for item in rows[ITEM]) for _, rows in evidence.group_by(USER, TURN)
    )
    shown = Counter({one.text: one.shown for one in first.prompts
                     if one.purpose == "user_profile"}.values())  # fmt: skip
    assert shown == batches
    assert all(len(one.shown) == 1 for one in first.prompts if one.purpose == "item_profile")


def test_no_prompt_shows_a_rating_of_the_test_split(first: First) -> None:
    titles = dict(first.table("enrich", "items").select(ITEM, TITLE).iter_rows())
    known = {
        user: frozenset(titles[item] for item in rows[ITEM])
        for (user,), rows in pl.concat(
            [first.table("split", part).select(USER, ITEM) for part in ("train", "valid")]
        ).group_by(USER)
    }
    later = [one for one in first.prompts if one.purpose in {"prompt_level", "explanation"}]
    # Everybody gets reasons; only users of the probe and those whose lists it changes are judged.
    probed = first.table("policy", "probe")[USERS].max()
    served = first.table("policy", "users").height
    assert isinstance(probed, int)
    assert probed >= 5
    asked = Counter(one.purpose for one in later)
    assert asked == {"explanation": N_USERS, "prompt_level": LOOKS * (probed + served)}
    for one in later:
        rated = one.text.partition("<latest_ratings>")[2].partition("</latest_ratings>")[0]
        cited = one.text.partition("<liked>")[2].partition("</liked>")[0]
        seen = Prompt("", "", rated + cited, 0, 1, False).shown
        assert seen
        assert any(seen <= own for own in known.values())


# Again, and after changes


def test_a_second_run_asks_nothing(first: First, endpoint: Endpoint) -> None:
    mark = len(endpoint.prompts)
    ended = command(endpoint.arguments(run_name="second"))
    assert ended.status == 0, ended
    assert endpoint.since(mark) == []
    for purpose in ("item_profile", "user_profile", "prompt_level", "explanation"):
        assert f"{purpose}: 0 new calls" in ended.logged
    assert "openai/fake: 0 new LLM calls" in ended.logged
    summary = summary_of(endpoint, "second")
    assert all(one.cached for one in summary.steps)
    assert summary.llm.calls == 0
    assert summary.headline == first.summary.headline


def test_a_raised_version_of_every_prompt_asks_everything_again(
    first: First, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = shutil.copytree(templates.FOLDER, tmp_path / "prompts")
    for path in prompts.glob("*.yaml"):
        path.write_text(
            path.read_text("utf-8").replace("version: ", "version: raised-", 1), "utf-8"
        )
    monkeypatch.setattr(templates, "FOLDER", prompts)
    mark = len(endpoint.prompts)
    ended = command(endpoint.arguments(run_name="raised"))
    assert ended.status == 0, ended
    asked = Counter(one.purpose for one in endpoint.since(mark))
    before = Counter(one.purpose for one in {(o.text, o.repair): o for o in first.prompts}.values())
    # The text is the same, so that the server's failures of its first attempts are past.
    assert asked == before
    steps = {one.step: one.cached for one in summary_of(endpoint, "raised").steps}
    assert not any(steps[name] for name in ("item_profiles", "user_profiles", "rerank", "explain"))
    # The answers are the same, so that what rests on them alone is not done again.
    assert all(steps[name] for name in ("split", "graph", "baselines"))


def test_without_its_artifacts_a_run_takes_every_answer_from_the_cache(
    first: First, endpoint: Endpoint, tmp_path: Path
) -> None:
    mark = len(endpoint.prompts)
    cache = f"sqlite:///{endpoint.place / 'artifacts' / 'llm.sqlite'}"
    elsewhere = {"artifact_root": str(tmp_path / "new"), "llm.cache_url": cache}
    steps = profile(endpoint.config(**elsewhere))
    assert not any(one.cached for one in steps)
    assert endpoint.since(mark) == []
    again = pl.read_parquet(artifact(steps, "user_profiles") / "user_profiles.parquet")
    assert again.equals(first.table("user_profiles", "user_profiles"))
    calls = pl.read_parquet(artifact(steps, "user_profiles") / "llm_calls.parquet")
    assert calls.is_empty(), "every call stands in one ledger"


def artifact(steps: list[StepSummary], name: str) -> Path:
    return Path(next(one.artifact for one in steps if one.step == name))


def test_three_changed_items_redo_exactly_what_rests_on_them(
    first: First, endpoint: Endpoint, tmp_path: Path
) -> None:
    source = write_data(tmp_path / "data")
    items = pl.read_parquet(source / "items.parquet").with_columns(
        pl.when(pl.col(ITEM).is_in(CHANGED))
        .then(pl.lit(["Musical"]))
        .otherwise(pl.col(GENRES))
        .alias(GENRES)
    )
    items.write_parquet(source / "items.parquet")
    mark = len(endpoint.prompts)
    config = endpoint.config(**{"data.source": str(source)})
    steps = embed(config)
    evidence = first.table("user_profiles", "evidence")
    turns = evidence.group_by(USER).agg(
        pl.col(TURN).max().alias("last"),
        pl.col(TURN).filter(pl.col(ITEM).is_in(CHANGED)).min().alias("from"),
    )
    touched = turns.drop_nulls("from")
    assert 0 < touched.height < N_USERS
    calls = pl.concat(
        pl.read_parquet(artifact(steps, step) / "llm_calls.parquet")
        for step in ("item_profiles", "user_profiles")
    )
    assert sorted(calls.filter(pl.col(PURPOSE) == "item_profile")[SUBJECT]) == [
        f"item:{item}" for item in CHANGED
    ]
    expected = {f"user:{user}": last - since + 1 for user, last, since in touched.iter_rows()}
    assert Counter(calls.filter(pl.col(PURPOSE) == "user_profile")[SUBJECT]) == expected
    asked = endpoint.since(mark)
    assert len(asked) == calls.height == len(CHANGED) + sum(expected.values())
    manifest = json.loads((artifact(steps, "embeddings") / "manifest.json").read_text())
    # An item has two texts, the whole one and its facts; labels are embedded once.
    profiles = pl.read_parquet(artifact(steps, "item_profiles") / "item_profiles.parquet")
    known = first.table("item_profiles", "item_profiles")
    labels, before = (set(labels_of(one[ITEM], one).names) for one in (profiles, known))
    new_labels = len(labels - before)
    assert manifest["facts"]["embedded_texts"] == 2 * len(CHANGED) + touched.height + new_labels
    changed = pl.read_parquet(artifact(steps, "user_profiles") / "user_profiles.parquet")
    earlier = first.table("user_profiles", "user_profiles")
    differs = changed[EVIDENCE_HASH] != earlier[EVIDENCE_HASH]
    assert sorted(changed.filter(differs)[USER]) == sorted(touched[USER])
    same = changed.filter(~differs)
    assert same.equals(earlier.filter(~differs))
    mark = len(endpoint.prompts)
    assert all(one.cached for one in embed(config))
    assert endpoint.since(mark) == []


# Ceilings and keys


def test_a_ceiling_ends_the_run_and_the_next_one_goes_on(first: First, endpoint: Endpoint) -> None:
    mark = len(endpoint.prompts)
    model = {"llm.model": "openai/budget"}
    ended = command(endpoint.arguments(**model, **{"llm.max_tokens": "20000"}))
    bought = len(endpoint.since(mark))
    assert ended.status == 1
    assert "llm.max_tokens" in ended.error("BudgetExceeded")
    assert 10 < bought < N_ITEMS
    with pytest.raises(BudgetExceeded):
        profile(endpoint.config(**model, **{"llm.max_tokens": "100"}))
    assert len(endpoint.since(mark)) == bought
    steps = profile(endpoint.config(**model))
    asked = endpoint.since(mark)
    assert repeated(asked) == FAILED_ATTEMPTS
    calls = pl.concat(
        pl.read_parquet(artifact(steps, step) / "llm_calls.parquet")
        for step in ("item_profiles", "user_profiles")
    )
    assert calls[ATTEMPTS].sum() == len(asked), "the stopped run's calls are in the ledger, too"


def test_a_rejected_key_is_one_message_without_retries_and_the_key_is_nowhere(
    first: First, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = len(endpoint.prompts)
    monkeypatch.setattr(endpoint, "word", lambda _: "echo")
    ended = command(endpoint.arguments(**{"llm.model": "openai/refused"}))
    asked = endpoint.since(mark)
    assert ended.status == 1
    assert "llm.api_key_env" in ended.error("LLMRefused")
    assert 1 <= len(asked) <= 4, "those in flight when the first refusal came"
    assert {one.attempt for one in asked} == {1}
    assert KEY not in first.said + ended.printed + ended.logged
    places = [endpoint.place / "artifacts", endpoint.place / "runs", database()]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"manifest.json", "llm_calls.parquet", "llm.sqlite", "summary.json"} <= names
    assert [str(path) for path in files if KEY.encode() in path.read_bytes()] == []


def database() -> Path:
    """The folder of the data base of the Prefect server that served these runs."""
    from prefect.settings import get_current_settings

    url = get_current_settings().server.database.connection_url
    path = Path(urlparse(url.get_secret_value()).path.replace("//", "/"))
    assert path.is_file(), url
    return path.parent
