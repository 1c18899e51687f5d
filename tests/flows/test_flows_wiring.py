"""The wiring of the pipeline: mixed-up references fail the type check, steps take keywords only."""

import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import flows.pipeline
import tasks
from tasks.runtime.sharded import Sharded
from tasks.runtime.step import Step

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = Path(flows.pipeline.__file__)
SWAPS = (
    ("items=made.item_profiles, users=made.user_profiles", "users=made.item_profiles,"
     " items=made.user_profiles"),
    ("graph=made.graph, model=made.model", "graph=made.model, model=made.graph"),
    ("candidates=made.candidates, judged=made.judgements", "candidates=made.judgements,"
     " judged=made.candidates"),
    ("split=made.split, held_out=made.held_out", "split=made.held_out, held_out=made.split"),
    ("known_users=made.data.known_users, item_ids=made.data.item_ids",
     "known_users=made.data.item_ids, item_ids=made.data.known_users"),
    ("catalogue=made.data.catalogue, items=made.item_profiles",
     "catalogue=made.data, items=made.item_profiles"),
    ("metrics=made.metrics, model=served.model", "metrics=made.metrics, model=served.metrics"),
)  # fmt: skip


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """File -> what mypy says of it: the wiring as it is, and a copy per scrambled call."""
    folder, source = tmp_path_factory.mktemp("wiring"), PIPELINE.read_text("utf-8")
    flat = re.sub(r"\s+", " ", source)
    assert all(before in flat for before, _ in SWAPS), "the pipeline was reworded: adapt SWAPS"
    copies = {"as_it_is": source}
    for number, (before, after) in enumerate(SWAPS):
        spaced = r"\s+".join(map(re.escape, before.split(" ")))
        copies[f"scrambled_{number}"] = re.sub(spaced, after, source, count=1)
    for name, text in copies.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"),
         *(str(folder / f"{name}.py") for name in copies)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not done.stderr, done.stderr
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    return {name: [line for line in lines if f"{name}.py" in line] for name in copies}


def test_the_wiring_as_it_is_passes(findings: dict[str, list[str]]) -> None:
    assert findings["as_it_is"] == []


@pytest.mark.parametrize("number", range(len(SWAPS)))
def test_scrambled_wiring_fails_the_type_check(findings: dict[str, list[str]], number: int) -> None:
    found = findings[f"scrambled_{number}"]
    assert found
    assert all("[arg-type]" in line and "Ref" in line for line in found), found


def steps() -> Iterator[tuple[str, object]]:
    for module in pkgutil.walk_packages(tasks.__path__, "tasks."):
        if module.ispkg:
            continue
        loaded = import_module(module.name)
        for name, value in vars(loaded).items():
            if isinstance(value, Step | Sharded) and value.__module__ == module.name:
                yield f"{module.name}.{name}", value


def test_steps_take_keywords_only() -> None:
    found = dict(steps())
    assert len(found) > 20
    for name, one in found.items():
        given = list(inspect.signature(one.__wrapped__).parameters.values())
        given = given[2:] if isinstance(one, Sharded) else given[1:]
        assert {each.kind for each in given} == {inspect.Parameter.KEYWORD_ONLY}, name


def test_every_step_is_in_the_module_that_is_named_after_it() -> None:
    names = [name.split(".") for name, _ in steps()]
    others = {(path[-2], path[-1]) for path in names if path[-1] != path[-2]}
    assert others == {
        ("split", "split_everything"), ("split", "test_split"),
        ("probe", "probe_sample"), ("probe", "probe_decision"), ("diversify", "trade_off"),
        ("arrivals", "new_catalogue"), ("arrivals", "joined_item_profiles"), ("arrivals", "placed"),
        ("arrivals", "visitors_policy"), ("arrivals", "as_ranked"),
    }  # fmt: skip
