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
}
LAYERS = (
    ("redaction",),
    ("section", "errors", "concurrency", "processes", "memory", "bounded_yaml", "small_files"),
    ("columns",),
    ("interactions", "artifacts", "http"),
    ("datasets", "llm"),
    ("evaluation",),
    ("prompt_context",),
    ("embedding", "profiles"),
    ("recommenders", "rerank", "diversity"),
    ("graph",),
    ("explanations",),
    ("report",),
    ("config",),
    ("serving",),
)
"""Packages and modules of recsys_core, the lowest first: each may import from layers below it."""
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


def packages() -> dict[str, set[str]]:
    """Package (or module) of recsys_core -> the others that it imports, wherever in a file."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "recsys_core").rglob("*.py")):
        inside = path.relative_to(ROOT / "recsys_core").with_suffix("").parts
        if inside == ("__init__",):
            continue
        modules = {module.split(".")[1] for module in imports(path) if is_in(module, "recsys_core")
                   and "." in module}  # fmt: skip
        found.setdefault(inside[0], set()).update(modules - {inside[0]})
    return found


def test_every_package_has_a_layer_and_imports_from_those_below_it() -> None:
    layer = {name: number for number, names in enumerate(LAYERS) for name in names}
    assert len(layer) == sum(map(len, LAYERS)), "each once"
    graph = packages()
    assert set(graph) == set(layer)
    wrong = [
        (name, other)
        for name, others in graph.items()
        for other in sorted(others)
        if layer[other] >= layer[name]
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
