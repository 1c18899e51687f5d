"""Remove artifacts that none of the last runs rests on.

    python -m deployments.prune --keep-last 5 --dry-run
    python -m deployments.prune --keep-last 5

A run's folder names the artifacts of its steps (`summary.json`). Kept are those of the last runs,
of the run that serves and the one before it,
what they were built from, whatever is younger than `--younger-than` hours (a run in progress), the
caches and the state of the watch. What is missing later is built again; answers of language models
stay in their cache and are not paid for twice. Results of `reproduce_paper` belong to no such run:
they go, too, and a later reproduction takes its hours again.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from recsys_core.artifacts import MANIFEST, local_folder, read_manifest
from recsys_core.config import RunConfig
from recsys_core.errors import ConfigError, DamagedArtifact, RecsysError
from recsys_core.serving.product.pointer import promotions

SUMMARY: Final = "summary.json"
_MIB: Final = 2**20


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A complete artifact on disk, its content hash and those of what it was built from."""

    path: Path
    content: str
    inputs: frozenset[str]
    size: int
    changed: datetime


def artifacts(root: Path) -> Iterator[Artifact]:
    """Every artifact below `root`: `<step>/<content key>/` with a manifest."""
    for manifest in sorted(root.glob(f"*/*/{MANIFEST}")):
        files = [path.stat() for path in manifest.parent.rglob("*") if path.is_file()]
        content, inputs = _contents(manifest.parent)
        yield Artifact(
            path=manifest.parent.resolve(),
            content=content,
            inputs=inputs,
            size=sum(one.st_size for one in files),
            changed=datetime.fromtimestamp(max(one.st_mtime for one in files), UTC),
        )


def _contents(folder: Path) -> tuple[str, frozenset[str]]:
    """Content hash of an artifact, and those of its inputs; nothing where it cannot be read.

    Such a one, damaged or of another version, is of no use to any step.
    """
    try:
        told = read_manifest(str(folder))
    except DamagedArtifact:
        return "", frozenset()
    return told.content_hash, frozenset(told.inputs.values())


class _Step(BaseModel):
    artifact: str


class _Run(BaseModel):
    """What prune needs of a summary, of whatever version."""

    run_name: str
    created: datetime
    steps: list[_Step]
    statuses: dict[str, int] | None = None
    """Of lists that were made without training: such a run counts for nothing here."""


def needed(runs: Path, keep_last: int) -> tuple[list[str], set[Path]]:
    """Names of the last runs, and the folders of the artifacts of their steps."""
    found = []
    for path in runs.glob(f"*/{SUMMARY}"):
        if path.parent.is_symlink():  # `latest`
            continue
        try:
            found.append(_Run.model_validate_json(path.read_text("utf-8")))
        except ValidationError as error:
            raise ConfigError(
                f"{path} is no summary of a run: {error.error_count()} fields do not fit.",
                expected="the summaries of all runs, so that no artifact of theirs is removed.",
                fix="move this folder elsewhere, then prune.",
            ) from error
    found = [one for one in found if one.statuses is None]
    last = sorted(found, key=lambda one: one.created)[-keep_last:]
    serving = {one.run for one in promotions(str(runs))[-2:]}  # and the one to go back to
    last += [one for one in found if one.run_name in serving and one not in last]
    folders = {local_folder(step.artifact) for one in last for step in one.steps}
    return [one.run_name for one in last], {one.resolve() for one in folders if one is not None}


def with_inputs(kept: set[Path], every: Sequence[Artifact]) -> set[Path]:
    """`kept`, and whatever these were built from, directly or not."""
    found, waiting = set(kept), [one for one in every if one.path in kept]
    by_content: dict[str, list[Artifact]] = {}
    for one in every:
        by_content.setdefault(one.content, []).append(one)
    while waiting:
        for content in waiting.pop().inputs:
            new = [one for one in by_content.get(content, ()) if one.path not in found]
            found |= {one.path for one in new}
            waiting += new
    return found


def main(argv: Sequence[str]) -> int:
    """Prune, or say what would be; 2 with one message if the folders cannot be used."""
    options = _parser().parse_args(argv)
    try:
        root = local_folder(options.artifacts)
        if root is None:
            raise ConfigError(
                f"The artifacts at {options.artifacts} are not on a disk of this machine.",
                expected="a folder.",
                fix="give the bucket a lifecycle rule by age: what is missing is built again.",
            )
        names, kept = needed(Path(options.runs).expanduser(), options.keep_last)
        if not names:
            raise ConfigError(
                f"There is no run in {options.runs}.",
                expected="the folder of the runs, so that theirs are kept.",
                fix="name it with --runs.",
            )
    except RecsysError as error:
        print(error, file=sys.stderr)
        return 2
    every = list(artifacts(root))
    kept = with_inputs(kept, every)
    oldest = datetime.now(UTC) - timedelta(hours=options.younger_than)
    old = [one for one in every if one.path not in kept and one.changed < oldest]
    _remove(old, dry_run=options.dry_run)
    print(f"Kept: what the runs {', '.join(names)} rest on.")
    return 0


def _remove(old: Sequence[Artifact], *, dry_run: bool) -> None:
    size = sum(one.size for one in old) / _MIB
    for one in old:
        print(f"{one.path.parent.name}/{one.path.name}  {one.size / _MIB:.1f} MiB")
        if not dry_run:
            _delete(one.path)
    print(f"{'Would remove' if dry_run else 'Removed'} {len(old)} artifacts, {size:.1f} MiB.")


def _delete(folder: Path) -> None:
    # The manifest first: without it the artifact does not exist, whatever happens then.
    (folder / MANIFEST).unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def _parser() -> argparse.ArgumentParser:
    config = RunConfig()
    description = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m deployments.prune", description=description)
    add = parser.add_argument
    add("--keep-last", type=_positive, required=True, metavar="N", help="runs whose artifacts stay")
    add("--dry-run", action="store_true", help="only say what would be removed")
    add("--younger-than", type=float, default=24.0, metavar="HOURS", help="stay (%(default)s)")
    add("--artifacts", default=config.artifact_root, help="artifact root (%(default)s)")
    add("--runs", default=config.runs_root, help="folder of the runs (%(default)s)")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
