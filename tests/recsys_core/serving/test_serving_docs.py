"""The programs of docs/serving.md run."""

import re
from pathlib import Path

import pytest

from tests.served_world import world

DOCS = Path(__file__).resolve().parents[3] / "docs" / "serving.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_program_runs(program, capsys):
    if "import faiss" in program:
        pytest.importorskip("faiss", reason="the extra `index` is not installed")
    here = program.replace('open_model("served", "runs")', f"open_model({world()[1]!r})")
    here = here.replace('"user_id": [-1]', '"user_id": ["new"]')
    assert here != program
    exec(compile(here, str(DOCS), "exec"), {})
    assert capsys.readouterr().out.strip()
