"""Report: the run's folder with lists, metrics, ledger of calls, summary and HTML page."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from prefect import task
from prefect.cache_policies import NO_CACHE

from recsys_core.columns import KEY, LLM_CALLS, METRICS, USER
from recsys_core.config import RunConfig
from recsys_core.datasets.provenance import name_of, source_of
from recsys_core.errors import ConfigError
from recsys_core.llm.config import LLMConfig
from recsys_core.llm.store.database import cache_url
from recsys_core.llm.store.run_ledgers import calls_of, published
from recsys_core.report.data import ReportData
from recsys_core.report.folder import publish
from recsys_core.report.html import render
from recsys_core.report.run_comparison import (
    RunComparison,
    RunFiles,
    compare_runs,
    read_run,
)
from recsys_core.report.sections.probe import agreement_lines, probe_lines
from recsys_core.report.sections.samples import samples
from recsys_core.report.sections.since_last import SinceLast, since_last, training_line
from recsys_core.report.sections.user_lists import user_lists
from recsys_core.report.summary import (
    DataSummary,
    Summary,
    headline,
    headline_k,
    llm_summary,
)
from recsys_core.rerank.costs import strategy_costs
from recsys_core.rerank.reranker import mean_agreement
from tasks.evaluate import own_methods
from tasks.probe import STAGE
from tasks.runtime.llm_calls import LEDGER
from tasks.runtime.messages import tell
from tasks.runtime.references import DatasetRef, Results, shown_history
from tasks.runtime.runs.last_runs import lists_of
from tasks.runtime.runs.run_folder import (
    CALLS_FILE,
    METRICS_FILE,
    PER_USER_FILE,
    RECOMMENDATIONS_FILE,
    REPORT_FILE,
    SUMMARY_FILE,
)
from tasks.runtime.runs.run_log import RunLog, current_run_id

RERANK: Final = "rerank"
"""Name in the log of the step that judges everybody's candidates."""


@task(name="report", tags={"recsys", "report"}, cache_policy=NO_CACHE, persist_result=False)
def report(config: RunConfig, log: RunLog, *, evaluated: Results, served: Results) -> Summary:
    """Write `runs/<run name>/` and let `runs/latest` lead to it.

    Not cached: it tells of this run, and takes a moment.

    Args:
        config: the run's parameters.
        log: the steps of this run.
        evaluated: the pass that was measured on the test split.
        served: the pass whose lists are served: the same, or that of a `refit`.
    """
    data, started = evaluated.data, log.started
    measured = evaluated.metrics.table("metrics")
    told = [one.table("metrics") for one in evaluated.explanation_metrics]
    explained = pl.concat([pl.DataFrame(schema=dict(METRICS)), *told])
    calls = made_calls(config.llm, config.artifact_root, log)
    run_name = config.run_name or default_name(config, data, started)
    lists = served.recommendations.table("recommendations")
    compared_lists = _since_last(config, evaluated, lists)
    changes = [_training(log, evaluated), *([compared_lists.line()] if compared_lists else [])]
    summary = Summary(
        run_name=run_name,
        flow_run_id=current_run_id(),
        created=started,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        folder=str(Path(config.runs_root).expanduser().resolve() / run_name),
        data_source=source_of(config.data, data.manifest.facts),
        data=_data_summary(config, data),
        models=_models(config, served),
        steps=log.summaries(),
        llm=llm_summary(calls, config.llm.model),
        headline=headline(measured),
        facts=_facts(config, log, evaluated, served),
        reranking=_reranking(config, log, evaluated),
        changes=changes,
        since_last=compared_lists,
        config=config.model_dump(mode="json"),
    )
    per_user = evaluated.metrics.table("per_user")
    now = RunFiles(summary=summary, per_user=per_user, recommendations=lists)
    compared, refused = _compared(config, now)
    page = ReportData(
        summary=summary,
        metrics=measured,
        curves=served.model.table("curves"),
        figures=evaluated.figures.table("figures"),
        calls=calls,
        costs=strategy_costs(judging_calls(log)),
        probe=evaluated.policy.table("probe"),
        reasons=explained,
        comparisons=evaluated.metrics.table("comparisons"),
        comparison=compared,
        not_compared=refused,
        lists=user_lists(
            lists,
            data.table("items"),
            served.attributions.table("attributions"),
            implicit=data.scale.is_implicit,
        ),
        samples=samples(
            lists,
            served.user_profiles.table("user_profiles"),
            shown_history(served.split, data.scale),
            data.table("items"),
            served.attributions.table("attributions"),
            implicit=data.scale.is_implicit,
        ),
        ours=own_methods(measured),
        rating_max=data.scale.rating_max,
    )
    files = {
        RECOMMENDATIONS_FILE: _parquet(lists),
        METRICS_FILE: _parquet(pl.concat([measured, explained])),
        PER_USER_FILE: _parquet(per_user),
        CALLS_FILE: _parquet(calls),
        SUMMARY_FILE: summary.model_dump_json(indent=1).encode(),
        REPORT_FILE: render(page).encode(),
        **(page.lists.files if page.lists else {}),
    }
    publish(config.runs_root, run_name, files)
    told_calls(config.llm, config.artifact_root)
    llm = summary.llm
    for line in summary.changes:
        tell(line)
    tell(
        f"Lists, metrics and report are in {summary.folder}. {llm.model}: {llm.calls:,} calls,"
        f" {llm.tokens_in + llm.tokens_out:,} tokens, ${llm.cost_usd:.4f}"
    )
    return summary


def _training(log: RunLog, evaluated: Results) -> str:
    record = next(one for one in log.steps if one.step == "train")
    return training_line(record.ref.manifest.facts, evaluated.warm_start, cached=record.cached)


def _since_last(config: RunConfig, evaluated: Results, lists: pl.DataFrame) -> SinceLast | None:
    """The lists beside those that the last run of this configuration served, if they are there."""
    last = evaluated.last
    if last is None or last.lists != lists_of(config):
        return None
    before = last.recommendations()
    if before is None:
        return None
    k = headline_k(config.evaluation.cutoffs)
    return since_last(before.table("recommendations"), lists, run=last.run, k=k)


def _compared(config: RunConfig, now: RunFiles) -> tuple[RunComparison | None, str]:
    """This run against the one that `compare_to` names, or why not."""
    if config.compare_to is None:
        return None, ""
    before = read_run(Path(config.runs_root).expanduser() / config.compare_to)
    try:
        return compare_runs(before, now, seed=config.seed), ""
    except ConfigError as error:
        return None, error.seen


def made_calls(llm: LLMConfig, root: str, log: RunLog) -> pl.DataFrame:
    """The ledger of this run: its calls, and those of killed runs that its results rest on.

    Args:
        llm: who answered.
        root: of the artifacts, where the cache of answers lies unless it is configured.
        log: the steps of this run.

    Raises:
        StorageError: the cache of answers cannot be read.
    """
    if not llm.uses_model:
        return pl.DataFrame(schema=dict(LLM_CALLS))
    ledgers = [one.ref.table(LEDGER)[KEY] for one in log.steps if LEDGER in one.ref.tables]
    keys = pl.concat([pl.Series(KEY, [], pl.String), *ledgers]).unique().sort()
    return calls_of(cache_url(llm.cache_url, root), current_run_id(), keys.to_list())


def told_calls(llm: LLMConfig, root: str) -> None:
    """Note that the report of this run is there, so that no other shows its calls."""
    if llm.uses_model:
        published(cache_url(llm.cache_url, root), current_run_id())


def judging_calls(log: RunLog) -> pl.DataFrame:
    """The ledger of the lists that were judged and measured, whichever run made its calls.

    A run that refits judges twice; the first time is the one that is measured. Where nobody was
    judged after the probe, the probe's calls tell what judging costs.
    """
    found = [one.ref.table(LEDGER) for one in log.steps if one.step == RERANK]
    probed = [one.ref.table(LEDGER) for one in log.steps if one.step.startswith(STAGE)]
    empty = pl.DataFrame(schema=dict(LLM_CALLS))
    return found[0] if found and not found[0].is_empty() else pl.concat([empty, *probed])


def _reranking(config: RunConfig, log: RunLog, evaluated: Results) -> list[str]:
    """What the probe saw and cost, whichever run made its calls; how far repeated looks agree."""
    probed = [one.ref for one in log.steps if one.step.startswith(STAGE)]
    calls = pl.concat([pl.DataFrame(schema=dict(LLM_CALLS)), *(r.table(LEDGER) for r in probed)])
    judged = [ref.table("judged") for ref in (*probed, evaluated.judgements)]
    everybody = evaluated.candidates.table("candidates")[USER].n_unique()
    lines = probe_lines(evaluated.policy.table("probe"), calls, config.llm.model, everybody)
    return lines + agreement_lines(mean_agreement(pl.concat(judged)))


def _facts(
    config: RunConfig, log: RunLog, evaluated: Results, served: Results
) -> dict[str, dict[str, Any]]:
    """The facts of the steps, and in place of a cached step's source and name this run's own."""
    facts = {one.step: dict(one.ref.manifest.facts) for one in log.steps}
    for step in ("ingest", "enrich"):
        told = facts[step]
        told |= {"source": source_of(config.data, told), "name": name_of(config.data, told)}
    facts["train"]["warm_start"] = evaluated.warm_start
    if config.refit:
        facts["train"]["warm_start_of_refit"] = served.warm_start
    return {step: told for step, told in facts.items() if told}


def default_name(config: RunConfig, data: DatasetRef, started: datetime) -> str:
    """Name of a run that was given none: the time (UTC) and the data set."""
    name = name_of(config.data, data.manifest.facts)
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
    return f"{started:%Y%m%dT%H%M%S}-{kept[:60]}"


def _data_summary(config: RunConfig, data: DatasetRef) -> DataSummary:
    facts, files = data.manifest.facts, data.manifest.files
    users, items, interactions = (
        files[f"{name}.parquet"].rows for name in ("users", "items", "interactions")
    )
    return DataSummary(
        name=name_of(config.data, facts), fingerprint=str(facts["fingerprint"]), users=users,
        items=items, interactions=interactions,
    )  # fmt: skip


def _models(config: RunConfig, served: Results) -> dict[str, str]:
    return {
        "llm": config.llm.model,
        "embedding": config.embedding.model,
        "embedding_backend": str(served.embeddings.manifest.facts["backend"]),
        "graph": config.graph.preset,
        "graph_device": str(served.model.manifest.facts["device"]),
    }


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
