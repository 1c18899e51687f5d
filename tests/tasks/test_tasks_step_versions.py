"""A step whose source changed has another version, or is known to give the same results."""

import ast
import json
from pathlib import Path

import pytest

from tests import step_sources
from tests.step_sources import Pinned, closure, complaints, pins, renewed, same_results, steps

OLD = {"version": "1", "sources": "a"}


def test_every_step_is_pinned_to_the_source_that_it_reaches() -> None:
    assert "\n".join(complaints(steps(), pins()).values()) == ""


def test_a_change_without_a_raise_is_told_with_both_ways_out() -> None:
    (told,) = complaints({"x": Pinned(version="1", sources="b")}, {"x": OLD}).values()
    assert "raise the version of step x, or record that the result is the same, with the" in told
    assert complaints({"x": Pinned(version="1", sources="a")}, {"x": OLD}) == {}
    assert "renew" in complaints({"x": Pinned(version="2", sources="b")}, {"x": OLD})["x"]
    assert "renew" in complaints({}, {"x": OLD})["x"]


def test_a_pin_is_renewed_by_a_raise_or_by_compared_results_and_by_nothing_else() -> None:
    now = {name: Pinned(version="1", sources="b") for name in ("kept", "same")}
    now["rose"] = Pinned(version="2", sources="b")
    found = renewed(now, dict.fromkeys(now, OLD), {"same": ["t:1"], "rose": ["t:2"]})
    assert found == {
        "kept": OLD,
        "same": {"version": "1", "sources": "b", "compared": ["t:1"]},
        "rose": {"version": "2", "sources": "b"},
    }


def test_results_are_the_same_where_all_tables_but_the_ledger_are(tmp_path: Path) -> None:
    for root, made in (("before", "1"), ("after", "2")):
        for step, table in (("graph", "x"), ("train", made)):
            folder = tmp_path / root / step / "key"
            folder.mkdir(parents=True)
            files = {"t.parquet": {"sha256": table}, "llm_calls.parquet": {"sha256": made}}
            (folder / "manifest.json").write_text(json.dumps({"files": files}))
    assert same_results(tmp_path / "before", tmp_path / "after") == {"graph": ["t.parquet:x"]}


def test_the_source_of_a_step_is_what_it_uses_inside_the_project() -> None:
    train, split = closure("tasks.train"), closure("tasks.split")
    assert {("tasks.train", "train"), ("recsys_core.graph.training.trainer", "train")} <= train
    assert ("recsys_core.datasets.hashed_split", "hashed_parts") in split
    assert ("recsys_core.columns", "INTERACTIONS") in split
    assert ("recsys_core.columns", "JUDGED") not in split
    assert not {one for one, _ in split if ".graph" in one}
    assert not {one for one, _ in train | split if one.startswith("recsys_core.llm.transport")}


def test_a_used_constant_changes_the_hash_and_comments_or_an_unused_one_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_sources, "ROOT", tmp_path)
    for number, text in enumerate(
        (
            '"""A."""\nUSED = 1\nOTHER = 1\n',
            '"""B."""\n# why\nUSED = 1\n"""Help."""\nOTHER = 2\n',
            "USED = 2\nOTHER = 1\n",
        )
    ):
        folder = tmp_path / "tasks" / f"t{number}"
        folder.mkdir(parents=True)
        (folder / "constants.py").write_text(text)
        step = (
            f"from tasks.t{number}.constants import USED\n\n\ndef step() -> int:\n    return USED\n"
        )
        (folder / "step.py").write_text(step)
    hashes = [
        [ast.unparse(one) for name in sorted(closure(f"tasks.t{n}.step")) for one in _code(name)]
        for n in range(3)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def _code(name: tuple[str, str]) -> list[ast.stmt]:
    return step_sources._parsed(name[0]).definitions[name[1]]
