"""Print what the project and one of its extras depend on, one requirement per line.

An image installs dependencies before the code is copied, so that a change of the code does not
install them anew; pip itself can only do both at once. Standard library only.
"""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, *extras: str) -> list[str]:
    """The project's dependencies and those of `extras`."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    optional = project.get("optional-dependencies", {})
    return [*project["dependencies"], *(line for name in extras for line in optional[name])]


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]), *sys.argv[2:])))
