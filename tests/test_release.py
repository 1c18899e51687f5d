"""One version, one licence, and a line for everything that breaks."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from flows.main import COMMANDS
from recsys_core import __version__
from recsys_core.config import ReproduceConfig, RunConfig

ROOT = Path(__file__).resolve().parents[1]


def former_names(kind: type[BaseModel]) -> Iterator[str]:
    yield from getattr(kind, "former_names", ())
    for field in kind.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from former_names(field.annotation)


def test_every_former_name_of_a_parameter_is_in_the_upgrading_document() -> None:
    text = (ROOT / "docs" / "upgrading.md").read_text("utf-8")
    missing = [
        name
        for name in {*former_names(RunConfig), *former_names(ReproduceConfig)}
        if f".{name}`" not in text and f"`{name}`" not in text
    ]
    assert missing == []


def test_the_version_is_held_by_one_place_and_the_licence_is_named() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert found["project"]["dynamic"] == ["version"]
    version = found["tool"]["setuptools"]["dynamic"]["version"]
    assert version == {"attr": "recsys_core.__version__"}
    assert found["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")


def recsys(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.main", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_leads_to_the_flows() -> None:
    assert recsys("--version").stdout == f"recsys {__version__}\n"
    listed = recsys().stdout
    assert all(name in listed for name in COMMANDS)
    wrong = recsys("personalise")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "did you mean personalize?" in wrong.stderr


def test_every_command_explains_itself() -> None:
    for name in COMMANDS:
        done = recsys(name, "--help")
        assert (done.returncode, done.stdout[:6]) == (0, "usage:"), done.stderr
