"""Health of a container: exit status 0 if it can do its work.

- A worker or a flow run (PREFECT_API_URL is set): its API answers.
- A server: its own API answers, on PREFECT_SERVER_API_PORT. It needs no login for this.
- Anything else: the address that is given as the argument answers.

Standard library only: it runs every few seconds.
"""

import os
import sys
import urllib.error
import urllib.request


def url() -> str:
    """The address that must answer."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    api = os.environ.get("PREFECT_API_URL")
    port = os.environ.get("PREFECT_SERVER_API_PORT", "4200")
    return f"{api or f'http://127.0.0.1:{port}/api'}".rstrip("/") + "/health"


def main() -> int:
    """0 if the API answers, else 1 with the reason."""
    try:
        with urllib.request.urlopen(url(), timeout=8) as answer:  # noqa: S310  http(s) by setup
            return 0 if answer.status == 200 else 1
    except (urllib.error.URLError, OSError) as error:
        print(f"{url()} does not answer: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
