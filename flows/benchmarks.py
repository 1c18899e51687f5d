"""Every data set of a file of studies, one after the other, and one page for all of them.

    python -m flows.benchmarks --data-root FOLDER

The page has the literature's figures with their sources beside ours. Each study is a run of
`flows.reproduce_paper` with a page of its own; what was measured before is not measured again.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from flows.command_line import command
from recsys_core import __version__
from recsys_core.config.benchmarks import Study, read_studies
from recsys_core.config.reproduction import ReproduceConfig
from recsys_core.errors import ConfigError

PAGE_FILE: Final = "benchmarks.html"
TABLE_FILE: Final = "benchmarks.parquet"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m flows.benchmarks",
        description="The methods on several data sets, one page with the literature's figures.",
    )
    add = parser.add_argument
    add("--version", action="version", version=f"%(prog)s {__version__}")
    add("--studies", metavar="FILE", help="YAML file of studies (default: those of this project)")
    text = "folder of the data sets: those that cannot be downloaded, and such that need not be"
    add("--data-root", metavar="FOLDER", help=text)
    add(
        "--only", action="append", metavar="NAME", help="a study to measure, several times for more"
    )
    text = "seeds of the random parts of our method: its mean and interval (%(default)s)"
    add("--seeds", default="0", metavar="0,1,...", help=text)
    add("--runs-root", default=os.environ.get("RECSYS_RUNS") or "runs", help="%(default)s")
    add("--run-name", default="benchmarks", help="folder of the page (%(default)s)")
    options = parser.parse_args(argv)
    return command.run(lambda: _measure(options))


def _measure(options: argparse.Namespace) -> None:
    studies, seeds = _wanted(options), _seeds(options.seeds)
    wanted = [(study, _configs(study, options, seeds)) for study in studies]
    # After the checks: these import Prefect and start its server.
    from flows.reproduce_paper import run
    from flows.reproduction.study_table import study_table
    from recsys_core.artifacts.filesystem import absolute
    from recsys_core.report.benchmark_page import (
        Benchmarks,
        as_table,
        as_text,
        render,
    )
    from recsys_core.report.folder import check_run_folder, publish
    from tasks.runtime.runs.run_folder import SUMMARY_FILE

    created = datetime.now(UTC)
    check_run_folder(options.runs_root, options.run_name)
    with command.with_server():
        tables = [study_table(study, [run(one) for one in configs]) for study, configs in wanted]
    folder = absolute(options.runs_root) / options.run_name
    found = Benchmarks(
        run_name=options.run_name, created=created, folder=str(folder), tables=tables
    )
    buffer = io.BytesIO()
    as_table(found).write_parquet(buffer)
    summary = {
        "run_name": found.run_name, "created": created.isoformat(), "ratio": found.ratio,
        "seeds": list(seeds), "studies": [study.model_dump(mode="json") for study, _ in wanted],
    }  # fmt: skip
    files = {
        PAGE_FILE: render(found).encode(), TABLE_FILE: buffer.getvalue(),
        SUMMARY_FILE: json.dumps(summary, indent=1).encode(),
    }  # fmt: skip
    publish(options.runs_root, options.run_name, files, latest=False)
    print(as_text(found))


def _wanted(options: argparse.Namespace) -> list[Study]:
    studies = read_studies(options.studies)
    names = [one.name for one in studies]
    unknown = [name for name in options.only or () if name not in names]
    if unknown:
        raise ConfigError(f"There is no study {unknown[0]!r}.", expected=f"{', '.join(names)}.")
    found = [one for one in studies if one.name in (options.only or names)]
    missing = [
        str(place) for one in found
        if (place := one.place(options.data_root)) is not None and not place.is_dir()
    ]  # fmt: skip
    if missing:
        raise ConfigError(
            f"Data are not there: {', '.join(missing)}.",
            expected="a folder of interactions for each study; docs/data.md says what it holds.",
            fix="name the folder above them with --data-root, or choose studies with --only.",
        )
    return found


def _seeds(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdigit() for part in parts) or len(set(parts)) < len(parts):
        raise ConfigError(f"--seeds {text!r} is no list of different numbers such as 0,1,2.")
    return tuple(int(part) for part in parts)


def _configs(
    study: Study, options: argparse.Namespace, seeds: Sequence[int]
) -> list[ReproduceConfig]:
    """All methods with the first seed, the reference alone with the others, on the same split."""
    slug = "-".join(
        "".join(c if c.isascii() and c.isalnum() else " " for c in study.name.lower()).split()
    )
    found: list[ReproduceConfig] = []
    for seed in seeds:
        name = f"{options.run_name}-{slug}" + (f"-seed-{seed}" if found else "")
        given = {"seed": seed, "runs_root": options.runs_root, "run_name": name}
        config = study.config(options.data_root, **given)
        drawn = seeds[0] if config.split.seed is None else config.split.seed
        split = config.split.model_copy(update={"seed": drawn})
        alone = {"methods": (config.reference,), "cold_seeds": (), "split": split}
        found.append(config.model_copy(update=alone) if found else config)
    return found


if __name__ == "__main__":
    sys.exit(main())
