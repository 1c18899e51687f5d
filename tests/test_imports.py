"""Dependencies point one way: flows -> tasks -> recsys_core; importing the core is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {
    "recsys_core": {"prefect", "tasks", "flows", "tests"},
    "tasks": {"flows", "tests"},
    "flows": {"tests"},
    "recsys_core/graph": {"recsys_core.rerank", "recsys_core.profiles"},
    "recsys_core/rerank": {"recsys_core.graph", "recsys_core.profiles", "recsys_core.explanations"},
    "recsys_core/explanations": {"recsys_core.graph", "recsys_core.rerank"},
    "recsys_core/prompt_context": {
        "recsys_core.graph",
        "recsys_core.rerank",
        "recsys_core.profiles",
        "recsys_core.explanations",
    },
    "recsys_core/profiles": {"recsys_core.graph", "recsys_core.rerank"},
    "recsys_core/llm": {"recsys_core.profiles", "recsys_core.rerank", "recsys_core.explanations"},
}
HEAVY = ("torch", "dgl", "sentence_transformers", "litellm", "matplotlib", "sklearn", "prefect")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    wrong = [
        (str(path.relative_to(ROOT)), module)
        for path in files
        for module in imports(path)
        if any(is_in(module, forbidden) for forbidden in FORBIDDEN[package])
    ]
    assert wrong == []


def test_only_one_module_knows_dgl() -> None:
    knows = [p for p in (ROOT / "recsys_core").rglob("*.py") if any(
        is_in(m, "dgl") for m in imports(p))]  # fmt: skip
    assert [path.name for path in knows] in ([], ["message_passing.py"])


def test_importing_the_core_loads_nothing_heavy() -> None:
    modules = "recsys_core, recsys_core.config, recsys_core.artifacts, recsys_core.columns"
    code = f"import sys, {modules}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
