"""What Prefect's form shows of a flow, and what becomes of what is filled in."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from flows.command_line import command
from flows.embed import embed
from flows.evaluate import evaluate
from flows.ingest import ingest
from flows.personalize import personalize
from flows.profile import profile
from flows.recommend import recommend
from flows.reproduce_paper import reproduce_paper
from flows.rerank import rerank
from flows.train import train
from flows.watch_metadata import watch_metadata
from recsys_core.config import RunConfig
from recsys_core.errors import ConfigError

FLOWS: list[Flow[..., Any]] = [
    embed, evaluate, ingest, personalize, profile, recommend, reproduce_paper, rerank, train,
    watch_metadata,
]  # fmt: skip


def schema(flow: Flow[..., Any] = personalize) -> dict[str, Any]:
    """As a deployment has it."""
    found: dict[str, Any] = parameter_schema(flow).model_dump_for_openapi()
    return found


def leaves(fields: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, one in fields.items():
        if "properties" in one:
            yield from leaves(one["properties"])
        else:
            yield name, one


def made(given: dict[str, Any], flow: Flow[..., Any] = personalize) -> Any:
    """The configuration that a run gets for what is filled in."""
    return flow.validate_parameters({"config": given})["config"]


def wrong(given: dict[str, Any]) -> dict[str, str]:
    """What the server says of it: field -> why."""
    found = validate({"config": given}, schema())
    return {".".join(map(str, one.absolute_path)): one.message for one in found}


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_a_form_is_short_and_sends_nothing_that_nobody_filled_in(flow: Flow[..., Any]) -> None:
    shown = list(leaves(schema(flow)["properties"]))
    assert len(shown) <= 12
    assert {"file", "advanced"} <= {name for name, _ in shown}
    for name, one in shown:
        assert one["description"], name
        assert "anyOf" not in one, f"{name}: Prefect would show 'Property is type None'"
        if name not in ("advanced", "repeat_after_hours"):
            assert "default" not in one, f"{name} would be sent, and stand against a preset"
    assert schema(flow)["properties"]["config"].get("default", {}) == {}


@pytest.mark.parametrize(
    ("filled_in", "arguments"),
    [
        ({}, []),
        ({"preset": "paper"}, ["--preset", "paper"]),
        ({"preset": "quick", "seed": 3, "advanced": {"seed": 3}},
         ["--preset", "quick", "--seed", "3"]),
        ({"data": {"source": "/srv/shop"}, "advanced": {"data": {"rating_max": 10}}},
         ["--data.source", "/srv/shop", "--data.rating_max", "10"]),
        ({"llm": {"model": "openai/x", "max_dollars": 2}, "refit": True,
          "rerank": {"strategy": "pairwise"}, "run_name": "mine"},
         ["--llm.model", "openai/x", "--llm.max-dollars", "2", "--refit", "--rerank.strategy",
          "pairwise", "--run-name", "mine"]),
    ],
)  # fmt: skip
def test_what_is_filled_in_is_the_same_run_as_by_the_command_line(filled_in, arguments) -> None:
    assert wrong(filled_in) == {}
    assert made(filled_in) == command.parse(arguments, program="x", description="x")


def test_the_paper_is_chosen_by_one_field() -> None:
    found = made({"preset": "paper", "advanced": {}})
    assert found == RunConfig(preset="paper")
    assert (found.graph.preset, found.rerank.strategy, found.fusion.policy) == (
        "paper", "relevancy", "all",
    )  # fmt: skip


def test_a_file_holds_what_is_not_filled_in(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("preset: paper\nseed: 5\nrefit: true\ndata: {rating_max: 10}\n")
    for place in (str(file), file.as_uri()):
        found = made({"file": place, "seed": 6, "data": {"source": "/srv/shop"}})
        assert found == RunConfig.model_validate({
            "preset": "paper", "seed": 6, "refit": True,
            "data": {"source": "/srv/shop", "rating_max": 10},
        })  # fmt: skip
    for lost in (str(tmp_path / "none.yaml"), "nowhere://none"):
        with pytest.raises(ConfigError, match="cannot be read"):
            made({"file": lost})


def test_one_field_with_two_values_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`llm.model` is 'a/b', and 'c/d' under `advanced`"):
        made({"llm": {"model": "a/b"}, "advanced": {"llm": {"model": "c/d"}}})
    with pytest.raises(ConfigError, match="`advanced` is 7"):
        made({"advanced": 7})


def test_parameters_that_deployments_have_stay_what_they_are() -> None:
    """Whole configurations, as forms sent them before, and parts of one."""
    whole = RunConfig(preset="paper", seed=2).model_dump(mode="json")
    for stored in (whole, {"graph": {"device": "cuda"}}, {"artifact_root": "$RECSYS_ARTIFACTS"}):
        assert wrong(stored) == {}
        assert made(stored) == RunConfig.model_validate(stored)


@pytest.mark.parametrize(
    ("given", "field", "why"),
    [
        ({"seed": -1}, "config.seed", "minimum"),
        ({"advanced": {"graph": {"layers": "two"}}}, "config.advanced.graph.layers", "not valid"),
        ({"rerank": {"strategy": "magic"}}, "config.rerank.strategy", "not one of"),
        ({"graf": {}}, "config", "'graf' was unexpected"),
        ({"advanced": {"advanced": {}}}, "config.advanced", "'advanced' was unexpected"),
        ({"file": 3}, "config.file", "not valid"),
    ],
)
def test_the_server_refuses_what_is_no_configuration(given, field, why) -> None:
    assert why in wrong(given)[field]
