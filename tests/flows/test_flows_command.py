"""The command line explains every parameter, refuses wrong ones; an error is one message."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from flows import _command
from recsys_core.config import RunConfig
from recsys_core.errors import BudgetExceeded, ConfigError, DataError, StorageError
from recsys_core.section import Section

ROOT = Path(__file__).resolve().parents[2]


def parse(*argv: str) -> RunConfig:
    return _command.parse(argv, program="prog", description="What it does.")


def test_nothing_given_is_the_default() -> None:
    assert parse() == RunConfig()


def test_nested_parameters_lists_and_flags() -> None:
    config = parse("--data.source=ml-1m", "--evaluation.cutoffs=1,5", "--refit", "--seed", "7")
    assert config.data.source == "ml-1m"
    assert config.evaluation.cutoffs == (1, 5)
    assert (config.refit, config.seed) == (True, 7)


@pytest.mark.parametrize(
    ("argv", "dry_run", "seed"),
    [(["--dry-run", "true"], True, 0), (["--dry_run=true", "--seed", "3"], True, 3),
     (["--dry-run", "false"], False, 0), (["--dry-run", "--seed=2"], True, 2),
     (["--dry-run", "--dry-run=False"], False, 0)],
)  # fmt: skip
def test_flags_take_true_and_false(argv: list[str], dry_run: bool, seed: int) -> None:
    config = parse(*argv)
    assert (config.dry_run, config.seed) == (dry_run, seed)
    assert parse("--llm.batch", "true").llm.batch
    assert parse("--llm.reasoning", "true").llm.reasoning is True


def test_a_flag_takes_nothing_else() -> None:
    with pytest.raises(ConfigError, match="dry_run is 'maybe'"):
        parse("--dry-run=maybe")


def test_names_may_be_written_with_dashes() -> None:
    given = ["--dry-run", "--no-refit", "--llm.max-in-flight=3", "--run-name", "a-b", "--seed=-0"]
    found = parse(*given)
    assert (found.dry_run, found.refit, found.seed) == (True, False, 0)
    assert (found.llm.max_in_flight, found.run_name) == (3, "a-b")


def test_the_file_named_on_the_command_line_lies_below_it(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("seed: 3\ndata: {source: ml-1m}\n")
    config = parse("--config", str(path), "--seed=4")
    assert (config.seed, config.data.source) == (4, "ml-1m")


def test_a_wrong_value_names_the_field() -> None:
    with pytest.raises(ConfigError, match=r"split\.fold"):
        parse("--split.fold=7")


def test_an_unknown_parameter_is_refused(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--sed=1")
    assert stop.value.code == 2
    assert "--sed=1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given", [["--part.old-name=3"], ["--part.old_name", "3"], ["--no-part.old_flag"]]
)
def test_a_former_name_is_refused_with_the_new_one(given: list[str]) -> None:
    with pytest.raises(ConfigError, match="write `new_name`") as stop:
        _command.parse(given, program="prog", description="", kind=Whole)
    assert str(stop.value).startswith("part.old_")


class Part(Section):
    """A section one of whose fields was renamed."""

    former_names: ClassVar = {"old_name": "write `new_name`", "old_flag": "write `new_name`"}
    new_name: int = 1


class Whole(Section):
    """A configuration of one section."""

    part: Part = Part()


def test_help_explains_every_parameter(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--help")
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, section in RunConfig.model_fields.items():
        fields = getattr(section.annotation, "model_fields", {})
        for below, field in fields.items():
            assert f"--{name}.{below}" in text
            assert " ".join(field.description.split())[:25] in text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("Seen.", expected="a", fix="b"), 2),
        (ConfigError("Seen."), 2),
        (StorageError("Seen."), 1),
        (BudgetExceeded("Seen."), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_message_and_a_status(error, status, capsys) -> None:
    def action() -> None:
        raise error

    assert _command.run(action) == status
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert ("Interrupted" if status == 130 else f"{type(error).__name__}: Seen.") in said


def test_ctrl_c_is_one_also_where_a_library_makes_another_error_of_it(capsys) -> None:
    def action() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("serialization error: KeyboardInterrupt") from None

    before = signal.getsignal(signal.SIGINT)
    assert _command.run(action) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        _command.run(lambda: 1 / 0)


def test_expected_errors_are_logged_without_a_traceback(caplog) -> None:
    _command.quiet_expected_errors()
    logger = logging.getLogger("prefect.task_runs")
    for error, kept in ((DataError("Seen."), False), (ValueError("bug"), True)):
        try:
            raise error
        except Exception:
            record = logger.makeRecord("x", 40, "f", 1, "m", (), sys.exc_info())
        logger.filter(record)
        assert bool(record.exc_info) is kept


@pytest.mark.slow
def test_the_module_prints_its_help() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.personalize", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--data.source" in done.stdout


def test_a_server_that_is_down_is_one_message(tmp_path: Path) -> None:
    down = "http://127.0.0.1:9/api"
    done = subprocess.run(
        [sys.executable, "-m", "flows.personalize", "--artifact_root", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PREFECT_API_URL": down, "PREFECT_HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert down in done.stderr
    assert "unset PREFECT_API_URL" in done.stderr
    assert "Traceback" not in done.stderr
