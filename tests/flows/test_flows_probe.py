"""The probe with a model on loopback: killed in its stages, nothing paid twice, the rest saved."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from recsys_core.columns import USER
from recsys_core.report.summary import Summary
from tests.flows.llm_run import (
    KEY,
    KEY_ENV,
    N_USERS,
    Endpoint,
    command,
    killed,
    repeated,
    write_data,
)

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.timeout(400)]

STAGES = (2, 4, 16)
LOOKS = 3
IN_FLIGHT = 4
PROBE = {"fusion.probe_users": "[2,4,16]", "fusion.llm_weight": "0.8", "fusion.scale": "score",
         "fusion.smallest_gain": "0"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run and the prompts of the judge."""

    summary: Summary
    judged: int
    repeated: int

    def table(self, step: str, name: str) -> pl.DataFrame:
        found = next(one.artifact for one in self.summary.steps if one.step == step)
        return pl.read_parquet(Path(found) / f"{name}.parquet")

    def lists(self) -> bytes:
        return (Path(self.summary.folder) / "recommendations.parquet").read_bytes()


def endpoint_at(place: Path) -> Endpoint:
    write_data(place / "data")
    return Endpoint(place, word=lambda _: "ok")


def finished(endpoint: Endpoint) -> Run:
    ended = command(endpoint.arguments(run_name="probe", **PROBE))
    assert ended.status == 0, ended
    path = endpoint.place / "runs" / "probe" / "summary.json"
    summary = Summary.model_validate_json(path.read_text())
    told = "".join(ended.printed.split())
    assert all("".join(line.split()) in told for line in summary.reranking)
    prompts = endpoint.since(0, "prompt_level")
    return Run(summary=summary, judged=len(prompts), repeated=repeated(endpoint.prompts))


@pytest.fixture(scope="module")
def key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_ENV, KEY)
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory, prefect_server: None, key: None) -> Run:
    with endpoint_at(tmp_path_factory.mktemp("unbroken")) as endpoint:
        return finished(endpoint)


def test_killed_in_each_stage_it_ends_with_the_same_bytes_and_pays_nothing_twice(
    unbroken: Run, tmp_path: Path
) -> None:
    stages = unbroken.table("policy", "probe")["users"].to_list()
    assert stages[0] == STAGES[0], "five of the sixteen users can be judged by a liked item"
    with endpoint_at(tmp_path) as endpoint:
        arguments = endpoint.arguments(run_name="probe", **PROBE)
        endpoint.server.latency = 0.1
        for before in (0, *stages[:-1]):
            # Two answers into the stage's questions.
            killed(
                endpoint, arguments,
                after=lambda n=LOOKS * before + 2: len(endpoint.since(0, "prompt_level")) >= n,
            )  # fmt: skip
        endpoint.server.latency = 0.0
        again = finished(endpoint)
    assert again.lists() == unbroken.lists()
    for step, name in (("policy", "probe"), ("policy", "users"), ("fusion", "reranked")):
        assert again.table(step, name).equals(unbroken.table(step, name))
    assert again.repeated <= IN_FLIGHT * len(stages), "only what was under way at a kill"


def test_only_probe_users_and_served_users_are_judged(unbroken: Run) -> None:
    probe, served = unbroken.table("policy", "probe"), unbroken.table("policy", "users")
    judged = unbroken.table("rerank", "judged")[USER].unique()
    assert set(judged) == set(served[USER])
    assert unbroken.judged == LOOKS * (int(probe["users"].max()) + served.height)  # type: ignore[arg-type]
    assert unbroken.judged < LOOKS * 2 * N_USERS


def test_every_served_list_has_its_reasons_and_the_probe_is_told(unbroken: Run) -> None:
    lists = pl.read_parquet(Path(unbroken.summary.folder) / "recommendations.parquet")
    assert lists[USER].n_unique() == N_USERS
    assert unbroken.summary.reranking
    assert "users: reranking by openai/fake" in unbroken.summary.reranking[0]
    page = (Path(unbroken.summary.folder) / "report.html").read_text()
    assert "Whose lists are reranked" in page
    assert "Accuracy against variety" in page
