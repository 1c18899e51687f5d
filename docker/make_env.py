"""Write docker/.env with generated passwords, for docker/compose.yaml. Standard library only.

    python3 docker/make_env.py            # then: docker compose -f docker/compose.yaml up ...

What is in the file already stays; a password once used is in the database's volume, too.
"""

import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name(".env")
KEYS: Final = Path(__file__).with_name("keys.env")
USER: Final = "admin"


def generated() -> dict[str, str]:
    """A value for every variable that compose requires."""
    return {
        "POSTGRES_PASSWORD": secrets.token_urlsafe(24),
        "PREFECT_AUTH": f"{USER}:{secrets.token_urlsafe(24)}",
    }


def missing(text: str) -> dict[str, str]:
    """Those that an environment file does not set."""
    lines = (line.partition("=") for line in text.splitlines())
    known = {name.strip() for name, _, value in lines if value.strip()}
    return {name: value for name, value in generated().items() if name not in known}


def main(argv: Sequence[str]) -> int:
    """Complete the file; say where it is and how to log in."""
    file = Path(argv[0]) if argv else FILE
    text = file.read_text("utf-8") if file.exists() else ""
    added = "".join(f"{name}={value}\n" for name, value in missing(text).items())
    start = text if not text or text.endswith("\n") else f"{text}\n"
    _write(file, start + added)
    if not KEYS.exists() and not argv:
        _write(KEYS, "# Keys of providers and stores, NAME=VALUE a line: OPENAI_API_KEY=...\n")
    print(f"{file}: {', '.join(missing(text)) or 'nothing'} generated.")
    print(f"The UI asks for the value of PREFECT_AUTH there ({USER}:...); clients take it as")
    print("PREFECT_API_AUTH_STRING. Keys of providers go into docker/keys.env.")
    return 0


def _write(file: Path, text: str) -> None:
    """Write for the owner's eyes only."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    file.chmod(0o600)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
