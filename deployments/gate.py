"""The quality gate: a metric may not fall far below that of the last accepted run.

The accepted run is a small JSON file that is committed, so that a change of it is reviewed:

    {"run": "ci-1234", "method": "served", "measured_on": {"data": "ml-100k", ...},
     "metrics": {"ndcg": 0.46, ...}}

Runs are compared only where data set, split and protocol are the same.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from recsys_core.report.sections.method_names import GRAPH_METHOD, SERVED_METHOD

Headline = dict[str, dict[str, float | None]]
"""Method -> metric -> value; null where no user counts."""
MeasuredOn = dict[str, str]
"""`data`, `split` and `protocol` -> what they are."""
_ROUNDING = 1e-9


class GateError(Exception):
    """The gate cannot be applied, or the run does not pass it; the message says why."""


class Accepted(BaseModel):
    """The run that later ones are held to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    method: str
    measured_on: MeasuredOn
    metrics: dict[str, float]


def read_accepted(path: Path) -> Accepted | None:
    """The recorded run; None if there is none yet.

    Raises:
        GateError: the file is not such a record.
    """
    if not path.exists():
        return None
    try:
        return Accepted.model_validate_json(path.read_text("utf-8"))
    except (OSError, ValidationError, ValueError) as error:
        raise GateError(
            f"{path} is no record of an accepted run: {error}\n"
            "  To fix it: remove it and accept a run anew with --accept."
        ) from error


def record(path: Path, accepted: Accepted) -> None:
    """Record the accepted run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.tmp")
    scratch.write_text(accepted.model_dump_json(indent=1) + "\n", "utf-8")
    scratch.replace(path)


def judged(
    headline: Headline, method: str | None, metric: str, run: str, measured_on: MeasuredOn
) -> Accepted:
    """The figures that the gate looks at: of `method`, or of the lists that are served.

    Raises:
        GateError: the run has no such method or metric.
    """
    name = method or SERVED_METHOD
    if method is None and SERVED_METHOD not in headline and GRAPH_METHOD in headline:
        # Lists that are the graph model's own, entry by entry, are measured once, under its name.
        headline = {**headline, SERVED_METHOD: headline[GRAPH_METHOD]}
    if headline.get(name, {}).get(metric) is None:
        raise GateError(
            f"Run {run} has no {metric} of {name}"
            f" (methods: {', '.join(headline) or 'none'}).\n"
            "  Expected: a run with a test split. To fix it: correct --method or --metric."
        )
    known = {key: value for key, value in headline[name].items() if value is not None}
    return Accepted(run=run, method=name, measured_on=measured_on, metrics=known)


def hold(now: Accepted, before: Accepted | None, metric: str, max_drop: float) -> str:
    """Compare with the accepted run; returns what to print.

    Raises:
        GateError: the metric fell by more than `max_drop`, or the runs do not compare.
    """
    value, on = now.metrics[metric], "; ".join(f"{k} {v}" for k, v in now.measured_on.items())
    if before is None:
        return (
            f"{metric}@10 of {now.method} ({on}): {value:.4f}; no accepted run to compare with yet."
        )
    if before.measured_on != now.measured_on:
        was = "; ".join(f"{k} {v}" for k, v in before.measured_on.items())
        raise GateError(
            f"The accepted run {before.run} was measured on other rows ({was}) than this one"
            f" ({on}).\n  To fix it: run with its parameters, name another record with --accepted,"
            " or accept this run with --accept."
        )
    if before.method != now.method or metric not in before.metrics:
        raise GateError(
            f"The accepted run {before.run} was judged by {before.method}, this one is by"
            f" {now.method} ({metric}).\n  To fix it: name --method, or accept this run."
        )
    drop = before.metrics[metric] - value
    told = (
        f"{metric}@10 of {now.method} ({on}): {value:.4f}, {before.metrics[metric]:.4f} in the"
        f" accepted run {before.run} ({value - before.metrics[metric]:+.4f}, allowed"
        f" {-max_drop:+.4f})"
    )
    if drop > max_drop + _ROUNDING:
        raise GateError(
            f"{told}.\n  Expected: no larger fall. To fix it: find what made the lists worse, or"
            " accept the run with --accept if the fall is wanted."
        )
    return f"{told}."
