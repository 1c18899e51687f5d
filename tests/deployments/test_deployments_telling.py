"""Somebody is told: one message per run that ends badly, to a webhook on loopback."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from tests.deployments.conftest import config_of
from tests.local_server import LocalServer, wait_for

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(600)]
PERSONALIZE = "personalize/personalize"


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[str]]]:
    """A webhook; its address, and the bodies that it was sent."""
    told: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", told
    server.shutdown()
    server.server_close()


@pytest.fixture
def telling(deployed: LocalServer, webhook, tmp_path: Path) -> Iterator[list[str]]:
    """The automation of `deployments.setup`, with a block that leads to the webhook."""
    url, told = webhook
    (kind,) = deployed.post(
        "/block_types/filter", {"block_types": {"slug": {"any_": ["custom-webhook"]}}}
    ) or [None]
    assert kind is not None, "Prefect's own block type"
    schemas = {"block_schemas": {"block_type_id": {"any_": [kind["id"]]}}}
    schema = deployed.post("/block_schemas/filter", schemas)[0]
    data = {
        "name": "us",
        "url": url,
        "method": "POST",
        "json_data": {"text": "{{subject}}: {{body}}"},
    }
    deployed.post("/block_documents/", {
        "name": "us", "data": data, "block_type_id": kind["id"], "block_schema_id": schema["id"],
    })  # fmt: skip
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump({"tell": "custom-webhook/us"}))
    done = deployed.call("deployments.setup", "--no-deploy", "--site", str(site))
    assert done.returncode == 0, done.stdout + done.stderr
    yield told
    assert deployed.call("deployments.setup", "--no-deploy").returncode == 0


def test_failures_and_falls_are_told_once_each_and_success_is_not(
    deployed: LocalServer, telling: list[str], small: Path, tmp_path: Path
) -> None:
    well = deployed.run_id(PERSONALIZE, {"config": config_of(small)})
    assert deployed.end_of(well)["name"] == "Completed"
    failed = deployed.run_id(PERSONALIZE, {"config": config_of(Path("/nowhere"))})
    assert deployed.end_of(failed)["name"] == "Failed"
    wait_for(lambda: len(telling) == 1, 60, "the message of the failure")
    assert "/nowhere" in telling[0]

    accepted = tmp_path / "accepted.json"
    call = ["deployments.ci_run", "--accepted", str(accepted)]
    call += ["--param", f"config={json.dumps(config_of(small))}"]
    assert deployed.call(*call, "--accept").returncode == 0
    better = json.loads(accepted.read_text())
    better["metrics"]["ndcg"] += 0.5
    accepted.write_text(json.dumps(better))
    below = deployed.call(*call)
    assert below.returncode == 4, below.stdout + below.stderr
    wait_for(lambda: len(telling) == 2, 60, "the message of the gate")
    assert "allowed -0.0100" in telling[1]

    assert deployed.call("deployments.setup", "--no-deploy").returncode == 0
    names = [one["name"] for one in deployed.post("/automations/filter", {})]
    assert not [name for name in names if "tell" in name], "off again without a block"
