"""The service: answers, refusals in one sentence, and a model exchanged under load."""

import asyncio
import html
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import psutil
import pytest

from deployments.answering import Models
from deployments.serve import application, main
from deployments.serve_guards import MOST_BYTES
from recsys_core.serving import recommend, visitors_of
from recsys_core.serving.people import person
from recsys_core.serving.person import People
from recsys_core.serving.product.pointer import promote
from tests.local_server import ROOT, free_port, wait_for
from tests.served_world import World, model, run, world

HOST = "http://localhost"


class Asking:
    """Requests to an application in this process."""

    def __init__(self, app: Any, *, base_url: str = HOST) -> None:
        self.transport, self.base_url = httpx.ASGITransport(app), base_url

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._ask("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._ask("POST", path, **more)

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            client = httpx.AsyncClient(transport=self.transport, base_url=self.base_url)
            async with client:
                return await client.request(method, path, **more)

        return asyncio.run(ask())


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    for one in given:
        yield one


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    run(root, "one", world()[1])
    promote(str(root), "one", "by hand")
    return Models("served", str(root))


@pytest.fixture(scope="module")
def client(models):
    return Asking(application(models), base_url=HOST)


def test_a_known_user_gets_the_models_list(client):
    told = client.post("/recommend", json={"user": "u01", "k": 4}).json()
    expected = People(model()).of_user("u01", 4)
    assert [one["item"] for one in told["items"]] == [one.item for one in expected.entries]
    assert told["items"][0]["reason"] == expected.entries[0].reason
    assert told["status"] == "placed by the training"


def test_a_history_gets_a_list_that_rests_on_it(client):
    history = [{"title": "Noir Story No. 0", "rating": 10}, {"item_id": "film-04", "rating": 9}]
    told = client.post("/recommend", json={"history": history, "k": 5}).json()
    items = [one["item"] for one in told["items"]]
    assert not {"film-00", "film-04"} & set(items)
    assert told["status"] == "placed by ratings, without training"
    both = client.post("/recommend", json={"user": "u01", "history": history, "k": 5}).json()
    assert [one["item"] for one in both["items"]] != items
    empty = client.post("/recommend", json={"history": []}).json()
    assert empty["status"].startswith("nothing is known yet")


def test_attributes_place_a_user_as_the_command_does(client):
    """Somebody without ratings, somebody with one, and a known user who is another age now."""
    served, age = model(), {"age": 23}
    rows = [{"item_id": "film-04", "rating": 9}]
    for body, known, rated in (
        ({"attributes": age}, None, []),
        ({"attributes": age, "history": rows}, None, rows),
        ({"user": "u01", "attributes": age}, "u01", []),
    ):
        told = client.post("/recommend", json=body | {"k": 5}).json()
        ratings, user = person(served, rated, known)
        attributes = pl.DataFrame({"user_id": [user], "age": [23.0]})
        visitors = visitors_of(served, ratings=ratings, attributes=attributes)
        expected = recommend(served, visitors, k=5).recommendations
        assert [one["item"] for one in told["items"]] == expected["item_id"].to_list()
        assert [one["reason"] for one in told["items"]] == expected["explanation"].to_list()
        assert told["status"] == "placed by ratings, without training"


def test_a_model_without_attributes_refuses_them(tmp_path):
    run(tmp_path, "one", world(attributes=False)[1])
    client = Asking(application(Models("one", str(tmp_path))))
    answer = client.post("/recommend", json={"attributes": {"age": 23}})
    assert answer.status_code == 422
    assert "by their ratings alone" in answer.json()["error"]


def test_an_answer_to_a_known_user_is_kept(models, client):
    kept = models.answering.of_user
    before = kept.cache_info()
    first, second = (client.post("/recommend", json={"user": "u07"}) for _ in range(2))
    assert first.content == second.content
    assert kept.cache_info().hits == before.hits + 1
    assert kept.cache_info().misses == before.misses + 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"user": "nobody"}, 404, "knows no user 'nobody'"),
        ({}, 422, "Give a `user`, a `history`, `attributes`, or several."),
        ({"history": [{"item_id": "nothing", "rating": 5}]}, 422, "no item 'nothing'"),
        ({"history": [{"title": "Noir Story", "rating": 5}]}, 422, "may be any of 15 titles"),
        ({"history": [{"title": "Noir Story No. 0", "rating": 11}]}, 422, "from 1 to 10"),
        ({"history": [{"title": "Noir Story No. 0"}]}, 422, "The rating is None"),
        ({"history": "all"}, 422, "history: "),
        ({"user": "u01", "k": 0}, 422, "k: "),
        ({"attributes": {"town": "Rome"}}, 422, "no attribute 'town'. Expected: some of age"),
        ({"attributes": {"age": "old"}}, 422, "The attribute age is 'old'"),
        ({"attributes": {"age": [3]}}, 422, "attributes.age"),
        ({"user": ["u01"]}, 422, "user"),
        ({"user": "u01", "secret": 1}, 422, "secret: "),
        ([], 422, "body: "),
    ],
)
def test_what_cannot_be_answered_is_told_in_one_sentence(client, body, status, said):
    answer = client.post("/recommend", json=body)
    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert set(answer.json()) == {"error"}
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize("told", [True, False])
def test_a_long_body_is_refused_before_it_is_read(client, told):
    body = b"x" * (MOST_BYTES + 1)
    answer = client.post("/recommend", content=body if told else parts(body[:9], body[9:]))
    assert answer.status_code == 413
    assert answer.json()["error"].startswith("The body is longer than 1,048,576 bytes")


def test_similar_items_and_titles(client):
    told = client.get("/similar/film-00?k=3").json()["items"]
    assert len(told) == 3
    assert client.get("/similar/nothing").status_code == 404
    found = client.get("/titles", params={"q": "noir 12"}).json()["items"]
    assert found[0]["title"] == "Noir Story No. 12"
    (one,) = client.get("/titles", params={"q": "film-12", "k": 1}).json()["items"]
    assert one["item_id"] == "film-12"
    assert client.get("/nowhere").json() == {"error": "Not Found"}


def test_health_page_and_routes(client):
    told = client.get("/health").json()
    assert (told["model"], told["items"]) == (model().content_hash, 60)
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    nonce = policy.partition("'nonce-")[2].partition("'")[0]
    assert page.text.count(nonce) == 2
    for text in (page.text, client.get("/docs").text):
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert "https://" not in text
    assert "POST /recommend" in client.get("/docs").text
    assert "/similar/{item}" in client.get("/openapi.json").json()["paths"]


def test_without_a_token_it_answers_to_this_machines_names_alone(models):
    app = application(models)
    for host, status in (("127.0.0.1:8400", 200), ("[::1]:8400", 200), ("evil.example", 400)):
        answer = Asking(app, base_url=f"http://{host}").get("/titles?q=noir")
        assert answer.status_code == status, host


def test_with_a_token_it_answers_to_whoever_shows_it(models):
    client = Asking(application(models, token="s3cret"), base_url="http://shop.example")
    assert client.get("/health").status_code == 200
    assert client.get("/titles?q=noir").status_code == 401
    for shown, status in (("Bearer s3cret", 200), ("Bearer other", 401), ("s3cret", 401)):
        answer = client.get("/titles?q=noir", headers={"Authorization": shown})
        assert answer.status_code == status


def test_another_host_needs_a_token(monkeypatch, capsys):
    monkeypatch.delenv("RECSYS_SERVE_TOKEN", raising=False)
    assert main(["--host", "0.0.0.0"]) == 2
    assert "there is no token" in capsys.readouterr().err
    assert main(["--run", "none", "--runs-root", "nowhere"]) == 2
    assert "names no model to serve" in capsys.readouterr().err


def test_a_newer_model_is_taken_without_an_error(tmp_path):
    run(tmp_path / "runs", "old", world()[1])
    run(tmp_path / "runs", "new", World(tmp_path / "other", attributes=False).served().uri)
    root = str(tmp_path / "runs")
    promote(root, "old", "by hand")
    models = Models("served", root)
    client, answers, stop = Asking(application(models), base_url=HOST), [], threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(client.post("/recommend", json={"user": "u01", "k": 3}))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        assert not models.look()
        promote(root, "new", "by hand")
        assert models.look()
        before = len(answers)
        while len(answers) < before + 5:
            assert thread.is_alive()
    finally:
        stop.set()
        thread.join()
    assert {one.status_code for one in answers} == {200}
    assert len({one.json()["model"] for one in answers}) == 2
    (tmp_path / "runs" / "served.json").write_text("{")
    assert not models.look(), "what serves goes on serving"
    assert client.get("/health").status_code == 200


@pytest.mark.slow
def test_several_processes_answer_and_end_together(tmp_path):
    run(tmp_path / "runs", "one", world()[1])
    port = free_port()
    command = [sys.executable, "-m", "deployments.serve", "--run", "one", "--processes", "2"]
    command += ["--runs-root", str(tmp_path / "runs"), "--port", str(port)]
    started = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_for(lambda: answers(port), 120, "an answer")
        workers = [
            one for one in psutil.Process(started.pid).children(recursive=True)
            if "spawn_main" in " ".join(one.cmdline())
        ]  # fmt: skip
        assert len(workers) == 2
        for _ in range(20):
            told = httpx.post(f"http://127.0.0.1:{port}/recommend", json={"user": "u01", "k": 3})
            assert told.status_code == 200
    finally:
        started.terminate()
        started.wait(30)
    assert not psutil.wait_procs(workers, 10)[1]


@pytest.mark.parametrize("given", ["0", "-1", "two", "65"])
def test_a_number_of_processes_that_is_none(given, capsys):
    with pytest.raises(SystemExit):
        main(["--processes", given])
    assert "is no number from 1 to 64" in capsys.readouterr().err


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.browser
def test_the_page_in_a_browser_shows_a_list_that_changes(tmp_path):
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if chromium is None:
        pytest.skip("no browser on the PATH")
    run(tmp_path / "runs", "one", world()[1])
    models = Models("one", str(tmp_path / "runs"))
    with served(application(models)) as url:
        shown = [dump(chromium, tmp_path, f"{url}/#rate={rated}") for rated in (
            "film-00,film-04", "film-01,film-05")]  # fmt: skip
        wide = dump(chromium, tmp_path, url, "--window-size=390,800")
    people = People(model())
    for dom, rated in zip(shown, (("film-00", "film-04"), ("film-01", "film-05")), strict=True):
        expected = people.of_ratings([(one, 10.0, None) for one in rated], 10).entries
        listed = re.findall(r"<strong>(.*?)</strong>", dom)
        assert [one.partition(" (")[0] for one in listed] == [one.title for one in expected]
        assert html.escape(expected[0].reason, quote=False) in dom
        shown_titles = dict(model().items.select("item_id", "title").iter_rows())
        for one in rated:
            assert shown_titles[one].partition(" (")[0] in dom, "what was rated is named"
    assert "60 titles" in wide
    assert 'placeholder="A word of the title"' in wide


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The application on a free port, in a thread."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        for _ in range(600):
            if server.started:
                break
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def dump(chromium: str, folder: Path, url: str, *more: str) -> str:
    """What the page is once its requests are answered; the console has to stay empty."""
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-logging=stderr", "--v=0", f"--user-data-dir={folder / 'profile'}", *more,
        "--virtual-time-budget=8000", "--dump-dom", url,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr.decode(errors="replace")
    return done.stdout.decode()
