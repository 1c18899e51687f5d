"""The log of a run: a sentence per step, warnings once, one message per expected error."""

import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import flow, task

from recsys_core.errors import ConfigError
from tasks.runtime import messages
from tasks.runtime import progress as shown
from tasks.runtime.messages import facts, step_ended


def ref(rows: int, **given: Any) -> Any:
    return SimpleNamespace(manifest=SimpleNamespace(rows=rows, facts=given))


def test_a_step_is_told_in_a_sentence() -> None:
    trained = ref(2625, device="cpu", best_epoch=40, users_without_profile=0)
    told = step_ended("train", trained, cached=False, seconds=12.34)
    assert told == "train: 12.3 s; 2,625 rows; device cpu; best epoch 40"
    told = step_ended("item_profiles", ref(1682), cached=True, seconds=0.1)
    assert told == "item profiles: found, nothing computed; 1,682 rows"


def test_hashes_zeros_and_nested_facts_are_left_to_the_summary() -> None:
    given = {"fingerprint": "ab" * 32, "fallback_items": 0, "models": {"rules": 3}, "warm": True}
    assert facts(given | {"why": "gain .004"}) == ["why gain .004"]


def record(name: str, message: str, error: Exception | None = None) -> logging.LogRecord:
    info = None
    if error is not None:
        try:
            raise error
        except type(error):
            info = sys.exc_info()
    return logging.LogRecord(name, logging.ERROR, "f.py", 1, message, None, info)


@pytest.mark.parametrize(
    ("one", "kept"),
    [
        (record("prefect.task_runs", "Finished in state Completed()"), False),
        (record("prefect.task_runs", "Finished in state Failed('x')"), False),
        (record("prefect.flow_runs", "Finished in state Failed('x')"), True),
        (record("prefect.flow_runs", "Encountered exception", ConfigError("x")), False),
        (record("prefect.task_runs", "Retry 1/2 will start 2 seconds from now", ConfigError("x")),
         True),
        (record("prefect.flow_runs", "Encountered exception", ZeroDivisionError()), True),
    ],
)  # fmt: skip
def test_what_is_told_elsewhere_is_dropped(one: logging.LogRecord, kept: bool) -> None:
    expected = one.exc_info is not None and isinstance(one.exc_info[1], ConfigError)
    assert messages._IN_WORDS.filter(one) is kept
    assert (one.exc_info is None) is (expected or "exception" not in one.msg)


def test_warnings_come_once_and_infos_of_the_library_not_at_all(
    prefect_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    library = logging.getLogger("recsys_core.somewhere")

    @task
    def noisy() -> None:
        for _ in range(11):
            library.warning("nobody likes anything: %s", "popular items")
        logging.getLogger("tasks.somewhere").info("3 items changed")
        library.info("detail")

    @flow
    def run() -> None:
        messages.install()
        messages.install()
        noisy()

    run()
    said = [one.getMessage() for one in caplog.records if one.name.startswith("prefect.")]
    assert said.count("nobody likes anything: popular items") == 1
    assert said.count("3 items changed") == 1
    assert "detail" not in said
    assert not [one for one in said if one.startswith("Finished in state Completed()")][1:]


def test_a_log_that_is_silent_for_long_says_how_far_a_step_is(
    prefect_server: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = logging.getLogger("recsys_core.somewhere")
    now = SimpleNamespace(at=1000.0)
    clock = SimpleNamespace(monotonic=lambda: now.at)
    monkeypatch.setattr(messages, "time", clock)
    monkeypatch.setattr(shown, "time", clock)
    monkeypatch.setattr(messages._LAST_LINE, "told", now.at)

    @task
    def long() -> None:
        with shown.progress("graph training", 60) as report:
            for epoch in range(1, 61):
                now.at += 2
                report(epoch)
            now.at += 7
            library.info("at once")
            now.at += 54
            library.info("components chosen")
            now.at += 60
            report(1, 300)
            now.at += 600
            report(2, 300)

    @flow
    def run() -> None:
        messages.install()
        long()

    run()
    said = [one.getMessage() for one in caplog.records if one.name.startswith("prefect.")]
    told = [one for one in said if one.startswith(("graph", "components", "at once"))]
    assert told == [
        "graph training: 30 of 60, about 60 s left", "graph training: 60 of 60",
        "components chosen", "graph training: 1 of 300",
        "graph training: 2 of 300, about 49.7 h left",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (9000, "2.5 h")]
)
def test_times_in_words(seconds: float, words: str) -> None:
    assert shown.in_words(seconds) == words


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_the_console_repeats_nothing_of_the_runs_log(prefect_server: None, level: int) -> None:
    one = logging.LogRecord("recsys_core.somewhere", level, "f.py", 1, "what", None, None)
    other = logging.LogRecord("recsys_corex", level, "f.py", 1, "what", None, None)
    assert messages._ELSEWHERE.filter(other)
    assert messages._ELSEWHERE.filter(one) is (level == logging.WARNING), "outside of a run"

    @flow
    def run() -> bool:
        return messages._ELSEWHERE.filter(one)

    assert run() is False


def test_outside_of_a_run_warnings_are_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    messages.install()
    logging.getLogger("recsys_core.somewhere").warning("disk is slow")
    assert "disk is slow" in capsys.readouterr().err
