"""Which run's model serves: promote a run, go back to the one before, or say which it is.

    python -m deployments.promote RUN       # a name under the folder of runs, or `latest`
    python -m deployments.promote --back    # the run that served before
    python -m deployments.promote           # which one serves, and since when

The service and `flows.recommend` take the promoted run by default, and `latest` while none is
promoted. CI promotes a run that passed its gate with `python -m deployments.ci_run --promote`.
"""

import argparse
import sys
from collections.abc import Sequence

from recsys_core.config.run import runs_place
from recsys_core.errors import RecsysError
from recsys_core.serving.product.pointer import promote, promotions, roll_back


def main(argv: Sequence[str]) -> int:
    """Promote, go back, or tell; 2 with one message where that cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.promote", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("run", nargs="?", help="the run whose model shall serve")
    parser.add_argument("--back", action="store_true", help="the one that served before")
    parser.add_argument("--why", default="by hand", help="kept beside it (%(default)s)")
    text = "folder of the runs (%(default)s)"
    parser.add_argument("--runs-root", default=runs_place(), help=text)
    asked = parser.parse_args(argv)
    if asked.run and asked.back:
        parser.error("give a run, or --back")
    try:
        if asked.run:
            promote(asked.runs_root, asked.run, asked.why)
        elif asked.back:
            roll_back(asked.runs_root)
        served = promotions(asked.runs_root)
    except RecsysError as error:
        print(error, file=sys.stderr)
        return 2
    if not served:
        print("No run was promoted: `latest` serves.")
        return 0
    now = served[-1]
    print(f"{now.run} serves, since {now.at:%Y-%m-%d %H:%M} UTC ({now.why}).")
    if len(served) > 1:
        print(f"Before it: {served[-2].run}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
