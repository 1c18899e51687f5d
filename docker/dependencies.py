"""Print what the project and its extras depend on, one requirement per line.

    python dependencies.py pyproject.toml ops torch==2.4.0 --without transformers,openvino

A requirement with `==` takes the place of the project's own for that package.

An image installs dependencies before the code is copied, so that a change of the code does not
install them anew; pip itself can only do both at once. Standard library only.
"""

import argparse
import re
import tomllib
from pathlib import Path


def requirements(pyproject: Path, *extras: str) -> list[str]:
    """The project's dependencies and those of `extras`."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    return [*project["dependencies"], *(line for name in extras for line in optional[name])]


def package(requirement: str) -> str:
    """The name in a requirement: `prefect` of `prefect==3.8.8`, `psycopg` of `psycopg[binary]`."""
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("wanted", nargs="*", help="extras of the project, and PACKAGE==VERSION")
    parser.add_argument("--without", default="", help="packages to leave out, with commas")
    given = parser.parse_intermixed_args()
    instead = {package(one): one for one in given.wanted if "==" in one}
    lines = requirements(given.pyproject, *(one for one in given.wanted if "==" not in one))
    left_out = set(given.without.split(","))
    print(
        "\n".join(instead.get(package(one), one) for one in lines if package(one) not in left_out)
    )
