"""The command line explains every parameter, refuses wrong ones; an error is one message."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from flows.command_line import command, quiet
from flows.command_line.help import OFTEN_SET, parameters
from recsys_core import __version__
from recsys_core.config import ReproduceConfig, RunConfig
from recsys_core.errors import BudgetExceeded, ConfigError, DataError, StorageError
from recsys_core.section import Section

ROOT = Path(__file__).resolve().parents[2]


def parse(*argv: str) -> RunConfig:
    return command.parse(argv, program="prog", description="What it does.")


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


def test_a_mapping_that_multiplies_or_is_none_is_one_message() -> None:
    lists = ", ".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))
    for given in ("{a0: &a0 [x, x, x], " + lists + "}", "{a: [}", "{"):
        with pytest.raises(ConfigError, match=r"data\.columns"):
            parse(f"--data.columns={given}")


def test_the_file_named_on_the_command_line_lies_below_it(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("seed: 3\ndata: {source: ml-1m}\n")
    config = parse("--config", str(path), "--seed=4")
    assert (config.seed, config.data.source) == (4, "ml-1m")


def test_a_wrong_value_names_the_field() -> None:
    with pytest.raises(ConfigError, match=r"split\.fold"):
        parse("--split.fold=7")


@pytest.mark.parametrize(
    ("given", "near"),
    [("--sed=1", "--seed"), ("--data.sorce", "--data.source"), ("--no-refitt", "--no-refit")],
)
def test_a_typo_is_one_line_with_the_nearest_name(given: str, near: str) -> None:
    with pytest.raises(ConfigError) as stop:
        parse(given)
    assert f"did you mean {near}?" in str(stop.value)
    assert "\n" not in str(stop.value)


def test_a_wrong_choice_names_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="'pairwis' is no choice, did you mean 'pairwise'"):
        parse("--rerank.strategy=pairwis")


@pytest.mark.parametrize(("given", "said"), [("--seed", "expected one argument"), ("x", "x")])
def test_what_the_parser_refuses_is_one_line_too(given: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as stop:
        parse(given)
    assert "\n" not in str(stop.value)


@pytest.mark.parametrize(
    "given", [["--part.old-name=3"], ["--part.old_name", "3"], ["--no-part.old_flag"]]
)
def test_a_former_name_is_refused_with_the_new_one(given: list[str]) -> None:
    with pytest.raises(ConfigError, match="write `new_name`") as stop:
        command.parse(given, program="prog", description="", kind=Whole)
    assert str(stop.value).startswith("part.old_")


class Part(Section):
    """A section one of whose fields was renamed."""

    former_names: ClassVar = {"old_name": "write `new_name`", "old_flag": "write `new_name`"}
    new_name: int = 1


class Whole(Section):
    """A configuration of one section."""

    part: Part = Part()


def test_help_all_explains_every_parameter(capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--help-all")
    assert stop.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, section in RunConfig.model_fields.items():
        fields = getattr(section.annotation, "model_fields", {})
        for below, field in fields.items():
            assert f"--{name}.{below}" in text
            assert " ".join(field.description.split())[:25] in text


def test_help_is_short_and_names_choices_bounds_and_defaults(capsys) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    text = capsys.readouterr().out
    assert text.count("\n") < 90
    for said in ("{auto,cpu,cuda}", "At least 1, at most 5. Default: 1.", "--help-all",
                 "--refit | --no-refit", "INT,..."):  # fmt: skip
        assert said in text
    assert "--llm.reasoning_tokens" not in text


def test_the_parameters_of_the_short_help_exist() -> None:
    known = {one.name for kind in (RunConfig, ReproduceConfig) for one in parameters(kind)}
    assert set(OFTEN_SET) <= known


def test_the_version_is_that_of_the_package(capsys) -> None:
    with pytest.raises(SystemExit):
        parse("--version")
    assert capsys.readouterr().out == f"prog {__version__}\n"


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

    assert command.run(action) == status
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
    assert command.run(action) == 130
    assert "Interrupted" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        command.run(lambda: 1 / 0)


def test_expected_errors_are_logged_without_a_traceback(caplog) -> None:
    quiet.quiet_expected_errors()
    logger = logging.getLogger("prefect.task_runs")
    for error, kept in ((DataError("Seen."), False), (ValueError("bug"), True)):
        try:
            raise error
        except Exception:
            record = logger.makeRecord("x", 40, "f", 1, "m", (), sys.exc_info())
        logger.filter(record)
        assert bool(record.exc_info) is kept


@pytest.mark.parametrize(
    ("given", "status"), [("--help", 0), ("--sed=1", 2), ("--data.source=/there/is/nothing", 2)]
)
def test_help_and_typos_need_no_prefect_and_start_no_server(given: str, status: int) -> None:
    code = (
        "import sys, runpy; sys.argv = ['x', sys.argv[1]]\n"
        "try: runpy.run_module('flows.personalize', run_name='__main__')\n"
        "finally: print('loaded', sorted(m for m in sys.modules if m in ('prefect', 'torch')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, given],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == status
    assert "loaded []" in done.stdout
    assert done.stderr.count("Error") == (status != 0), "said once"
    assert "Traceback" not in done.stderr


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
