"""Names of flow runs: the data and the trigger, unless somebody gave one."""

from types import SimpleNamespace
from typing import Any

import pytest
from prefect import flow
from prefect.runtime import flow_run

from recsys_core.config import RunConfig
from tasks.runtime.runs import run_name as module
from tasks.runtime.runs.run_name import chosen, data_name, run_name, trigger

NAMED: list[str] = []


@flow(flow_run_name=run_name)
def named(config: RunConfig = RunConfig()) -> None:
    """Leaves its name in `NAMED`."""
    NAMED.append(str(flow_run.name))


def test_a_run_is_named_by_its_data_and_its_trigger(prefect_server: None) -> None:
    named(RunConfig.model_validate({"data": {"source": "/srv/shop", "rating_max": 10}}))
    assert NAMED[-1].startswith("shop, command line, 20")
    named.with_options(flow_run_name="ci-7")()
    assert NAMED[-1] == "ci-7"


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (RunConfig(), "ml-100k"),
        ({"seed": 3}, "ml-100k"),
        ({"data": {"source": "s3://bucket/shop/"}}, "shop"),
    ],
)
def test_the_data_set_is_named_by_its_last_part(config: Any, name: str) -> None:
    assert data_name(config) == name


@pytest.mark.parametrize(
    ("tags", "by", "said"),
    [
        (["auto-scheduled"], None, "scheduled"),
        ([], SimpleNamespace(type="AUTOMATION"), "items changed"),
        ([], None, "by hand"),
    ],
)
def test_the_trigger_is_told(monkeypatch, tags, by, said) -> None:
    run = SimpleNamespace(deployment_id="x", tags=tags, created_by=by)
    there = SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run))
    monkeypatch.setattr(module, "FlowRunContext", there)
    assert trigger() == said


def test_a_name_that_was_given_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "flow_run", SimpleNamespace(name="ci-20261129T1", parameters={}))
    assert run_name() == "ci-20261129T1"


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        (RunConfig(), []),
        (None, []),
        (RunConfig(preset="paper"), ["paper"]),
        (RunConfig(preset="quick"), ["quick"]),
        ({"preset": "paper", "llm": {"model": "openai/gpt-5-mini"}}, ["paper", "gpt-5-mini"]),
        ({"graph": {"preset": "paper"}}, ["best with graph paper"]),
    ],
)
def test_the_name_says_the_preset_and_the_model(config: Any, parts: list[str]) -> None:
    assert chosen(config) == parts
