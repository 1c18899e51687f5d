"""Forget a person: find and remove what is kept of a user.

    python -m deployments.forget --user X --artifact-root artifacts --runs-root runs --dry-run

Artifacts whose tables hold the user are removed whole (the next run makes them anew, without the
user once the source data has no rows of theirs), and so are the folders of runs that show them,
and what the cache of answers keeps of requests about them. What is left elsewhere is printed.
"""

import argparse
import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl
import sqlalchemy as sa

from recsys_core import columns as c
from recsys_core.artifacts import local_folder, sweep_root
from recsys_core.errors import ConfigError, RecsysError, StorageError
from recsys_core.llm.store.database import ANSWERS, CALLS, LEASES, cache_url, open_engine
from recsys_core.report.folder import is_run

FORGOTTEN: Final = "user:forgotten"
_STATE: Final = "state"
"""Folder of what the watch has seen."""
_AT_ONCE: Final = 500
"""Keys of one statement: data bases bound its parameters."""
ELSEWHERE: Final = (
    "the source data: remove the user's rows there first, or the next run reads them again",
    "the learned vectors and weights of artifacts that are kept, until the next training",
    "the user's artifacts on other artifact roots, copies of reports, and backups",
    "vectors of texts about the user in embeddings.sqlite, under hashes (delete the file)",
    "Prefect's database: the sample lists and logs of runs (delete the flow runs in the UI)",
    "the provider of the language model: what its terms say about the prompts it was sent",
)


def artifacts_of(root: Path, user: str) -> Iterator[Path]:
    """Folders of artifacts, complete or not, with a table that holds the user."""
    for folder in sorted(root.glob("*/*/")):
        inside = sorted(folder.rglob("*.parquet"))
        if folder.parent.name != _STATE and any(_holds(table, user) for table in inside):
            yield folder


def runs_of(root: Path, user: str) -> Iterator[Path]:
    """Folders with a table that holds the user, beside one another: of runs, and of others."""
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        if not folder.is_symlink() and any(
            _holds(table, user) for table in sorted(folder.rglob("*.parquet"))
        ):
            yield folder


def answers_of(engine: sa.Engine, user: str) -> list[str]:
    """Keys of answers to requests about the user, and of such that are, or were, under way."""
    told = [
        sa.select(table.c[c.KEY]).where(table.c[c.SUBJECT] == _subject(user))
        for table in (CALLS, LEASES)
    ]
    with engine.connect() as connection:
        return sorted(set(connection.execute(sa.union(*told)).scalars()))


def _subject(user: str) -> str:
    return f"user:{user}"


def _holds(path: Path, user: str) -> bool:
    try:
        data = path.read_bytes()
        schema = pl.read_parquet_schema(io.BytesIO(data))
        if c.USER in schema:
            ids = pl.read_parquet(io.BytesIO(data), columns=[c.USER])[c.USER]
            return bool((ids.cast(pl.String) == user).any())
        if c.SUBJECT in schema:
            told = pl.read_parquet(io.BytesIO(data), columns=[c.SUBJECT])[c.SUBJECT]
            return bool((told == _subject(user)).any())
    except FileNotFoundError:  # its run was replaced, or another process removed it
        return False
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StorageError(
            f"{path} cannot be read, so whether it holds the user is not known: {error}",
            expected="tables that can be read.",
            fix="let this user read it, or remove it where it is damaged (the next run makes it"
            " anew), and run this again; nothing was removed.",
        ) from error
    return False


def _forget_answers(engine: sa.Engine, keys: Sequence[str]) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("PRAGMA secure_delete = ON"))  # zeros, not only free pages
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            connection.execute(sa.delete(ANSWERS).where(ANSWERS.c[c.KEY].in_(some)))
            # What was paid stays counted; whom it was about does not.
            for table in (CALLS, LEASES):
                change = sa.update(table).where(table.c[c.KEY].in_(some))
                connection.execute(change.values({c.SUBJECT: FORGOTTEN}))
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))


def forget(
    user: str, *, artifacts: str, runs: str, cache: str | None = None, dry_run: bool = False
) -> list[str]:
    """Remove what is kept of `user`; a line for each thing that is, or would be, removed.

    Args:
        user: id of the user, as text.
        artifacts: the artifact root, on this machine's disk.
        runs: folder of the runs.
        cache: `llm.cache_url`, where it is not the file in the artifact root.
        dry_run: only find.

    Raises:
        ConfigError: the artifact root is remote.
        StorageError: the cache of answers does not work, or a table cannot be read.
    """
    root = local_folder(artifacts)
    if root is None:
        raise ConfigError(
            f"The artifact root {artifacts} is remote, and only local ones are searched.",
            fix="run this where the root is mounted.",
        )
    url = cache_url(cache, artifacts)
    engine = open_engine(url) if _exists(url) else None
    try:
        keys = answers_of(engine, user) if engine else []
        shown = list(runs_of(Path(runs).expanduser().resolve(), user))
        folders = [*artifacts_of(root, user), *filter(is_run, shown)]
        found = [f"folder {folder}" for folder in folders]
        states = [one for one in sorted((root / _STATE).rglob("*.parquet")) if _holds(one, user)]
        found += [f"file {one}" for one in states]
        found += [f"{len(keys)} answers and their ledger rows in the cache"] if keys else []
        if not dry_run:
            sweep_root(str(root))  # what killed processes left half written may hold anybody
            for folder in folders:
                folder.unlink() if folder.is_symlink() else shutil.rmtree(folder)
            for path in states:  # the next look records anew and announces nobody
                path.unlink()
            if engine and keys:
                _forget_answers(engine, keys)
    finally:
        if engine:
            engine.dispose()
    foreign = [folder for folder in shown if not is_run(folder)]
    return found + [f"nothing of {folder}, which no run wrote: see to it" for folder in foreign]


def _exists(url: str) -> bool:
    parsed = sa.make_url(url)
    return parsed.get_backend_name() != "sqlite" or Path(parsed.database or "").is_file()


def main(argv: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.forget",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--user", required=True, help="id of the user")
    parser.add_argument("--artifact-root", default="artifacts", help="default: artifacts")
    parser.add_argument("--runs-root", default="runs", help="default: runs")
    parser.add_argument("--cache-url", help="llm.cache_url, where it is set")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    asked = parser.parse_args(argv)
    try:
        found = forget(
            asked.user, artifacts=asked.artifact_root, runs=asked.runs_root,
            cache=asked.cache_url, dry_run=asked.dry_run,
        )  # fmt: skip
    except RecsysError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    told = "Would remove" if asked.dry_run else "Removed"
    print("\n".join(f"{told} {one}" for one in found) or "Nothing of this user was found.")
    print("\nNot reached by this command:\n" + "\n".join(f"- {one}" for one in ELSEWHERE))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
