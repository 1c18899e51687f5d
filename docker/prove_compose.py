"""What docker/prove_compose.sh looks at: login, a run, its report over http, what a restart keeps.

python docker/prove_compose.py first FOLDER
python docker/prove_compose.py again FOLDER
"""

import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.small_data import SCALE

SERVER: Final = "http://127.0.0.1:4200"
REPORTS: Final = "http://127.0.0.1:4201"
ENDED: Final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def main(what: str, folder: Path) -> None:
    """Look, and exit with a message where something is not as it shall be."""
    lines = (line.partition("=") for line in (folder / "compose.env").read_text().splitlines())
    user, _, password = {name: value for name, _, value in lines}["PREFECT_AUTH"].partition(":")
    with httpx.Client(base_url=f"{SERVER}/api", auth=(user, password), timeout=60) as api:
        {"first": first, "again": again}[what](api, folder)


def first(api: httpx.Client, folder: Path) -> None:
    """The first start: nobody gets in without the password, a run goes through."""
    refused = httpx.post(f"{SERVER}/api/flows/filter", json={}, timeout=60)
    expect(refused.status_code == 401, "without the password: 401", refused.text)
    page = httpx.get(SERVER, timeout=60, follow_redirects=True)
    expect(page.status_code == 200 and "<html" in page.text, "the UI answers", str(page))
    settings = api.get("/admin/settings").json()["server"]["concurrency"]
    expect("filesystem" in settings["lease_storage"], "leases are kept on disk", str(settings))
    found = api.post("/deployments/filter", json={}).json()
    expect(len(found) >= 9, f"{len(found)} deployments", str(found)[:500])
    active = [one["name"] for one in found for s in one["schedules"] if s["active"]]
    expect(not active, "no schedule is active", str(active))
    (deployment,) = (one for one in found if one["name"] == "personalize")
    config = {
        "data": {"source": str(folder / "small"), **SCALE},
        "graph": {"max_epochs": 10},
        "evaluation": {"bootstrap": 0},
        "run_name": "proof",
    }
    path = f"/deployments/{deployment['id']}/create_flow_run"
    run = api.post(path, json={"parameters": {"config": config}}).json()["id"]
    state = end_of(api, run)
    expect(state["type"] == "COMPLETED", "a run on one's own data: Completed", str(state))
    link = next(one for one in artifacts(api, run) if one["key"] == "report")["data"]
    expect(f"{REPORTS}/proof/report.html" in link, "the report's link is http", link)
    page = httpx.get(f"{REPORTS}/proof/report.html", timeout=60)
    expect(page.status_code == 200 and "<html" in page.text, "the report opens", page.text[:200])
    (folder / "run").write_text(run)


def again(api: httpx.Client, folder: Path) -> None:
    """After `down` and `up`: runs, artifacts and reports are there."""
    run = (folder / "run").read_text()
    state = api.get(f"/flow_runs/{run}").json()["state"]
    expect(state["type"] == "COMPLETED", "the run is still there", str(state))
    expect(bool(artifacts(api, run)), "its artifacts, too", "none")
    page = httpx.get(f"{REPORTS}/proof/report.html", timeout=60)
    expect(page.status_code == 200, "its report, too", str(page))


def end_of(api: httpx.Client, run: str, seconds: float = 400) -> dict[str, Any]:
    """The last state of a run."""
    end = time.monotonic() + seconds
    while True:
        state: dict[str, Any] = api.get(f"/flow_runs/{run}").json()["state"]
        if state["type"] in ENDED or time.monotonic() > end:
            return state
        time.sleep(2)


def artifacts(api: httpx.Client, run: str) -> list[dict[str, Any]]:
    """What a run published."""
    chosen = {"artifacts": {"flow_run_id": {"any_": [run]}}}
    found: list[dict[str, Any]] = api.post("/artifacts/filter", json=chosen).json()
    return found


def expect(condition: bool, what: str, seen: str) -> None:
    if not condition:
        sys.exit(f"FAILED {what}\n{seen}")
    print(f"ok {what}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
