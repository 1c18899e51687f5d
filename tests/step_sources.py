"""The source that every step reaches, pinned to its version: a forgotten raise fails a test.

    python -m tests.step_sources                     # renews the pins of steps whose version rose
    python -m tests.step_sources --same BEFORE AFTER # ... and of steps that give the same results

BEFORE and AFTER are artifact roots: the same runs by the code before and after the change. Where a
step wrote the same tables in both, its pin is renewed under its old version, and the hashes that
were compared are kept beside it.
"""

import argparse
import ast
import hashlib
import json
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import tasks
from tasks.runtime.llm_calls import LEDGER
from tasks.runtime.sharded import Sharded
from tasks.runtime.step import Step

ROOT: Final = Path(__file__).resolve().parents[1]
PINS: Final = ROOT / "tests" / "step_sources.json"
PROJECT: Final = ("recsys_core", "tasks")
RUNS_THE_WORK: Final = (
    "tasks.runtime.step", "tasks.runtime.runs.run_log", "tasks.runtime.progress",
    "tasks.runtime.resources", "tasks.runtime.fan_out", "recsys_core.http",
    "recsys_core.llm.transport", "recsys_core.llm.store", "recsys_core.llm.accounting",
    "recsys_core.artifacts", "recsys_core.report",
)  # fmt: skip
"""Modules that carry results and do not make them; they are in no step's hash."""
COMMAND: Final = "python -m tests.step_sources"


@dataclass(frozen=True, kw_only=True)
class Pinned:
    """A step as it is now: its declared version, and the hash of the source that it reaches."""

    version: str
    sources: str


def steps() -> dict[str, Pinned]:
    """Every step of `tasks/` by name."""
    found = {}
    for module in pkgutil.walk_packages(tasks.__path__, "tasks."):
        if module.ispkg:
            continue
        for value in vars(import_module(module.name)).values():
            if isinstance(value, Step | Sharded) and value.__module__ == module.name:
                found[value.name] = Pinned(version=value.version, sources=sources_of(module.name))
    return dict(sorted(found.items()))


def sources_of(module: str) -> str:
    """Hash of the definitions of a module, and of all of the project that they use, down to last.

    Functions, classes and constants count one by one: another column name or another section of
    the configuration changes the hash of the steps that use it.
    """
    reached = closure(module)
    digest = hashlib.sha256()
    for name, definition in sorted(reached):
        digest.update(f"{name}.{definition}\n".encode())
        for statement in _parsed(name).definitions[definition]:
            digest.update(f"{ast.unparse(statement)}\n".encode())
    for folder in sorted({path_of(name).parent for name, _ in reached}):
        for data in sorted(folder.glob("*.yaml")):
            digest.update(data.read_bytes())
    return digest.hexdigest()[:32]


Definition = tuple[str, str]
"""Module, and a name that is defined at its top level."""


def closure(module: str) -> frozenset[Definition]:
    """The definitions of a module and all definitions of the project that they reach."""
    found: set[Definition] = set()
    waiting = [(module, name) for name in _parsed(module).definitions]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _used(*one)
    return frozenset(found)


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A module without its docstrings: what it defines, and which names it imports from where."""

    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, tuple[str, str | None]]


@cache
def _parsed(module: str) -> Parsed:
    tree = _without_docstrings(ast.parse(path_of(module).read_text("utf-8")))
    definitions: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in _defined_by(statement):
            definitions.setdefault(name, []).append(statement)
    imports: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _in(node.module or "", PROJECT):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                target = (inner, None) if _is_module(inner) else (str(node.module), alias.name)
                imports[alias.asname or alias.name] = target
        elif isinstance(node, ast.Import):
            for alias in node.names:
                assert not _in(alias.name, PROJECT), f"{module}: write `from ... import`"
    return Parsed(definitions=definitions, imports=imports)


def _defined_by(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.If | ast.Try | ast.For | ast.With):
        return [
            node.id if isinstance(node, ast.Name) else node.name
            for node in ast.walk(statement)
            if (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
            or isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
    return []


def _used(module: str, name: str) -> list[Definition]:
    """The definitions that a definition uses."""
    parsed, found = _parsed(module), []
    for statement in parsed.definitions[name]:
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                source, inner = parsed.imports.get(node.value.id, ("", ""))
                found += _home(source, node.attr) if source and inner is None else []
            elif isinstance(node, ast.Name) and node.id in parsed.imports:
                source, inner = parsed.imports[node.id]
                found += _home(source, inner) if inner else []
            elif isinstance(node, ast.Name) and node.id in parsed.definitions:
                found.append((module, node.id))
    return found


def _home(module: str, name: str) -> list[Definition]:
    """Where a name is defined, behind what packages re-export; nothing for what runs the work."""
    if _in(module, RUNS_THE_WORK):
        return []
    parsed = _parsed(module)
    if name in parsed.definitions:
        return [(module, name)]
    source, inner = parsed.imports.get(name, ("", None))
    return _home(source, inner) if inner else []


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The module without docstrings, which change no result; comments are gone already."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not _is_text(one)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def path_of(module: str) -> Path:
    """The file of a module of the project."""
    base = ROOT / module.replace(".", "/")
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _is_module(name: str) -> bool:
    return path_of(name).exists()


def _in(name: str, packages: Sequence[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in packages)


def pins() -> dict[str, dict[str, Any]]:
    """What was pinned last: step -> version, sources, and the hashes that were compared, if any."""
    found: dict[str, dict[str, Any]] = json.loads(PINS.read_text("utf-8"))
    return found


def complaints(
    now: Mapping[str, Pinned], pinned: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Step -> what to do about it; empty where every pin fits."""
    found = {}
    for name, one in now.items():
        before = pinned.get(name, {})
        if before.get("version") != one.version:
            found[name] = f"step {name} is new or its version rose: renew its pin ({COMMAND})."
        elif before["sources"] != one.sources:
            found[name] = (
                f"the source of step {name} changed: raise the version of step {name}, or record"
                f" that the result is the same, with the compared hashes ({COMMAND} --same)."
            )
    for name in sorted(pinned.keys() - now.keys()):
        found[name] = f"step {name} is gone: renew the pins ({COMMAND})."
    return found


def renewed(
    now: Mapping[str, Pinned],
    pinned: Mapping[str, Mapping[str, Any]],
    same: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, Any]]:
    """The pins of the present source, for all steps that rose or gave the same results (`same`)."""
    found: dict[str, dict[str, Any]] = {}
    for name, one in now.items():
        before = pinned.get(name, {})
        fits = before.get("version") != one.version or before.get("sources") == one.sources
        if name in same and not fits:
            found[name] = {**vars(one), "compared": list(same[name])}
        elif fits and before.get("sources") != one.sources:
            found[name] = dict(vars(one))
        else:
            found[name] = dict(before)
    return found


def same_results(before: Path, after: Path) -> dict[str, list[str]]:
    """Step -> hashes of its tables, where both roots hold the same ones."""
    roots = [dict(_tables(root)) for root in (before, after)]
    return {name: sorted(found) for name, found in roots[0].items() if roots[1].get(name) == found}


def _tables(root: Path) -> Iterator[tuple[str, set[str]]]:
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        manifests = [json.loads(path.read_text("utf-8")) for path in folder.glob("*/manifest.json")]
        found = {
            f"{name}:{entry['sha256'][:16]}"
            for one in manifests
            for name, entry in one["files"].items()
            if name != f"{LEDGER}.parquet"
        }
        if found:
            yield folder.name, found


def main(argv: Sequence[str]) -> int:
    """Renew the pins; 1 where a step's source changed and nothing says what that means."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--same", nargs=2, type=Path, metavar=("BEFORE", "AFTER"))
    given = parser.parse_args(argv)
    now, before = steps(), pins() if PINS.exists() else {}
    same = same_results(*given.same) if given.same else {}
    after = renewed(now, before, same)
    PINS.write_text(json.dumps(after, indent=1) + "\n", "utf-8")
    left = complaints(now, after)
    for complaint in left.values():
        print(complaint, file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
