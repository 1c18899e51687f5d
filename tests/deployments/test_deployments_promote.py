"""The command that lets a run serve, and the gate that does so for CI."""

import json
from pathlib import Path

import pytest

from deployments.ci_run import promote_run
from deployments.promote import main
from recsys_core.errors import ConfigError
from recsys_core.serving.product import contract
from recsys_core.serving.product.pointer import promotions
from tests.served_world import world


@pytest.fixture
def runs(tmp_path: Path) -> str:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        steps = [{"step": contract.STEP, "artifact": world()[1]}]
        told = {"flow_run_id": f"flow-{name}", "steps": steps}
        (tmp_path / name / "summary.json").write_text(json.dumps(told))
    (tmp_path / "latest").symlink_to("two")
    return str(tmp_path)


def test_promote_go_back_and_tell(runs, capsys):
    assert main(["--runs-root", runs]) == 0
    assert "`latest` serves" in capsys.readouterr().out
    assert main(["one", "--runs-root", runs]) == main(["latest", "--runs-root", runs]) == 0
    told = capsys.readouterr().out
    assert "two serves, since" in told
    assert "Before it: one." in told
    assert main(["--back", "--runs-root", runs]) == 0
    assert "one serves" in capsys.readouterr().out
    assert main(["--back", "--runs-root", runs]) == 2
    assert "No other run served before one" in capsys.readouterr().err
    assert main(["none", "--runs-root", runs]) == 2


def test_ci_promotes_the_folder_that_its_flow_run_wrote(runs):
    assert promote_run(runs, "flow-one", "ci-1") == "Promoted: one serves."
    assert promotions(runs)[-1].why == "passed the gate as ci-1"
    with pytest.raises(ConfigError, match="was written by the flow run flow-three"):
        promote_run(runs, "flow-three", "ci-2")
