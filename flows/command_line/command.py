"""What the command lines of the flows share: parameters, one clear message per error, exit codes.

Exit status: 0 done, 1 the run failed, 2 the input cannot be used, 130 interrupted (Ctrl-C), 143
terminated.
"""

import io
import json
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import Any, Final, TypeVar, overload

from pydantic import BaseModel
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from flows.command_line import quiet, signals, temporary_server
from flows.command_line.help import help_text, refuse_unknown
from recsys_core import __version__
from recsys_core.bounded_yaml import read_yaml
from recsys_core.config import ReproduceConfig, RunConfig, load_config
from recsys_core.errors import ConfigError, InputError, RecsysError

FAILED: Final = 1
WRONG_INPUT: Final = 2
INTERRUPTED: Final = 130

_NO_SERVER: Final = ("Failed to reach API", "Timed out while attempting to connect to ephemeral")
"""What the message of the plain RuntimeError says that Prefect raises without a server."""

_FLAGS: Final = (bool, bool | None)
_TRUTHS: Final = frozenset({"true", "false"})

C = TypeVar("C", bound=BaseModel)


@overload
def parse(argv: Sequence[str], *, program: str, description: str) -> RunConfig: ...
@overload
def parse(argv: Sequence[str], *, program: str, description: str, kind: type[C]) -> C: ...
def parse(
    argv: Sequence[str], *, program: str, description: str, kind: type[BaseModel] = RunConfig
) -> BaseModel:
    """The run's configuration from a command line, over the YAML file it names with --config.

    Raises:
        ConfigError: a value is out of bounds, or the file cannot be used.
        SystemExit: --help, --help-all or --version was asked for.
    """

    class Arguments(kind, BaseSettings):  # type: ignore[misc, valid-type]
        model_config = SettingsConfigDict(
            cli_prog_name=program,
            cli_implicit_flags=True,
            cli_hide_none_type=True,
            cli_avoid_json=True,
        )
        config: str | None = None

    _answer(argv, program, description, kind)
    argv = _flags([_with_underscores(one) for one in argv], kind)
    _refuse_former_names(argv, kind)
    refuse_unknown(argv, kind)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            given = CliSettingsSource[Any](Arguments, cli_parse_args=argv)()
    except SystemExit:
        # The parser prints its whole usage, then the error: the last line says it.
        last = said.getvalue().strip().splitlines()[-1]
        raise ConfigError(f"{last.partition('error: ')[2]} (--help shows the parameters)") from None
    except SettingsError as error:
        raise ConfigError(f"{str(error)[:300]} (--help shows the parameters)") from None
    return load_config(given.pop("config", None), given, kind)


def parse_or_exit(
    argv: Sequence[str],
    *,
    program: str,
    description: str,
    kind: type[RunConfig] | type[ReproduceConfig] = RunConfig,
    server: bool = False,
) -> None:
    """End the process where these arguments cannot start a run: before a server is started.

    Besides the arguments themselves, local data that are not there are told here; with `server`,
    a temporary server then gets ready in the background.
    """

    def action() -> None:
        config: Any = parse(argv, program=program, description=description, kind=kind)
        from recsys_core.datasets.load import check_source

        check_source(config.data)
        if server:
            temporary_server.start_ahead()

    status = run(action)
    if status:
        sys.exit(status)


def _answer(argv: Sequence[str], program: str, description: str, kind: type[BaseModel]) -> None:
    """Print what was asked for, and end."""
    asked = {"-h", "--help", "--help-all", "--help_all", "--version"} & set(argv)
    if not asked:
        return
    if "--version" in asked:
        print(f"{program} {__version__}")
    else:
        everything = bool(asked & {"--help-all", "--help_all"})
        print(help_text(program, description, kind, everything=everything))
    raise SystemExit(0)


def _refuse_former_names(argv: Sequence[str], kind: type[BaseModel]) -> None:
    """Say the new name; the parser below would only say that it does not know the old one."""
    for argument in argv:
        name = argument.partition("=")[0].removeprefix("--").removeprefix("no-")
        *sections, leaf = name.split(".")
        found: Any = kind
        for section in sections:
            field = getattr(found, "model_fields", {}).get(section)
            found = field and field.annotation
        if argument.startswith("--") and leaf in getattr(found, "former_names", {}):
            raise ConfigError(
                f"{name} is no parameter any more: {found.former_names[leaf]}.",
                fix="correct the command line; --help shows every parameter.",
            )


def _with_underscores(argument: str) -> str:
    """`--dry_run` of `--dry-run`; values, and the `no-` of a flag, stay; mappings become JSON."""
    if not argument.startswith("--"):
        return _as_json(argument)
    name, equals, value = argument[2:].partition("=")
    negated = "no-" if name.startswith("no-") else ""
    return f"--{negated}{name.removeprefix('no-').replace('-', '_')}{equals}{_as_json(value)}"


def _flags(argv: Sequence[str], kind: type[BaseModel]) -> list[str]:
    """`--dry_run true` and `--dry_run=false` as the flags `--dry_run` and `--no-dry_run`."""
    made: list[str] = []
    left = deque(argv)
    while left:
        name, equals, value = left.popleft().partition("=")
        if not name.startswith("--") or _field_type(name.removeprefix("--"), kind) not in _FLAGS:
            made.append(f"{name}{equals}{value}")
            continue
        if not equals and left and left[0].lower() in _TRUTHS:
            value = left.popleft()
        if value.lower() not in {"", *_TRUTHS}:
            raise ConfigError(
                f"{name} is {value!r}.", expected="true or false, or the flag alone for true."
            )
        made.append(f"--no-{name.removeprefix('--')}" if value.lower() == "false" else name)
    return made


def _field_type(name: str, kind: type[BaseModel]) -> Any:
    found: Any = kind
    for part in name.split("."):
        field = getattr(found, "model_fields", {}).get(part)
        found = field and field.annotation
    return found


def _as_json(value: str) -> str:
    """A mapping as people write it, `{user_id: userId}`, in JSON; other values as they are."""
    if not (value.startswith("{") and value.endswith("}")):
        return value
    try:
        found = read_yaml(value)
        return json.dumps(found) if isinstance(found, dict) else value
    except (ValueError, TypeError):  # what reads the value says what is wrong with it
        return value


def run(action: Callable[[], object]) -> int:
    """Run `action`; turn what goes wrong into one message and an exit status.

    What comes up after a signal need not be a KeyboardInterrupt: pydantic, for one, turns what
    interrupts it into an error of its own.
    """
    quiet.quiet_expected_errors()
    with signals.stop_on_signal(), quiet.no_words_about_logging():
        try:
            action()
        except SystemExit:
            raise
        except BaseException as error:
            status = signals.interrupted()
            if status is None and isinstance(error, KeyboardInterrupt):
                status = INTERRUPTED
            if status is None:
                return _failed(error)
            signals.say()
            return status
    return 0


def _failed(error: BaseException) -> int:
    """Say an expected error and give its exit status; raise any other."""
    if isinstance(error, RecsysError):
        return _say(error, WRONG_INPUT if isinstance(error, InputError) else FAILED)
    no_server = isinstance(error, RuntimeError) and any(one in str(error) for one in _NO_SERVER)
    if no_server or _is_outage(error):
        from tasks.runtime.server.patience import server_down

        return _say(server_down(str(error) if no_server else error), FAILED)
    raise error


def _is_outage(error: BaseException) -> bool:
    if "prefect" not in sys.modules:
        return False
    from tasks.runtime.server.patience import is_outage

    return is_outage(error)


@contextmanager
def with_server() -> Iterator[None]:
    """The Prefect server that a flow needs, watched.

    Without PREFECT_API_URL Prefect starts a server that ends with the run.

    Nobody is there to miss a heartbeat or to read a log while the run goes on, and every write
    less is one less that another write can collide with (the client then waits for seconds).
    """
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_BATCH_INTERVAL,
        temporary_settings,
    )

    from flows.command_line import watch
    from tasks.runtime.server.room import check_home

    check_home()
    if PREFECT_API_URL.value():
        watch.check_server()
        with watch.watching():
            yield
        return
    temporary_server.own_process()
    with watch.watching(), temporary_settings(
        {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_LOGGING_TO_API_BATCH_INTERVAL: 60.0}
    ):  # fmt: skip
        temporary_server.wait()
        yield


def _say(error: RecsysError, status: int) -> int:
    print(f"\n{type(error).__name__}: {error}", file=sys.stderr)
    return status
