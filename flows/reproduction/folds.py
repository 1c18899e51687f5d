"""The folds of the reproduction: prepared, ranked by every method, measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from flows.pipeline import pipeline
from recsys_core.artifacts import ArtifactStore, file_hash
from recsys_core.columns import MODEL
from recsys_core.config import FanOutConfig, Method, ReproduceConfig, RunConfig
from recsys_core.config.reproduction_methods import VARIANTS, Text
from recsys_core.config.reproduction_methods import trained as models
from recsys_core.datasets.config import DataConfig
from recsys_core.datasets.provenance import name_of
from tasks.candidates import candidates, list_length
from tasks.embed import embed
from tasks.graph import graph
from tasks.reproduction.baseline import baseline
from tasks.reproduction.caveats import PREFIX
from tasks.reproduction.comparisons import Measured
from tasks.reproduction.method_metrics import method_metrics
from tasks.reproduction.published_lists import published_lists
from tasks.reproduction.raw_text_vectors import raw_text_vectors
from tasks.runtime.fan_out import fan_out
from tasks.runtime.references import (
    EmbeddingsRef,
    JudgementsRef,
    ListsRef,
    ModelRef,
    RerankedRef,
    Results,
)
from tasks.runtime.runs.run_log import RunLog
from tasks.runtime.step import Submitted
from tasks.train import train

_PUBLISHED_FOLD: Final = 1


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One fold of one data set, ready for every method.

    Attributes:
        made: the pipeline's results up to the user profiles, and the graph.
        vectors: text -> its vectors.
        chosen: method -> the artifact whose facts tell what validation chose.
    """

    run: RunConfig
    number: int
    made: Results
    vectors: dict[Text, EmbeddingsRef] = field(default_factory=dict)
    chosen: dict[Method, ListsRef | ModelRef] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The data set's name."""
        return name_of(self.run.data, self.made.data.manifest.facts)


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The lists of a method on a fold, and the judgements that they rest on, if any."""

    lists: ListsRef | RerankedRef
    judged: JudgementsRef | None = None


def prepare_folds(store: ArtifactStore, config: ReproduceConfig, log: RunLog) -> list[Fold]:
    """Split, profiles and graph of every fold; the texts' vectors that the methods need."""
    wanted: list[tuple[DataConfig, int]] = [(config.data, fold) for fold in config.folds]
    wanted += [(config.large_data, fold) for fold in config.large_folds]
    return [_prepared(store, config, log, data, fold) for data, fold in wanted]


def _prepared(
    store: ArtifactStore, config: ReproduceConfig, log: RunLog, data: DataConfig, number: int
) -> Fold:
    run = config.run(data, number)
    made = pipeline(run, log, until="user_profiles")
    made.graph = graph(
        store, known_users=made.data.known_users, item_ids=made.data.item_ids, split=made.split
    )
    fold = Fold(run=run, number=number, made=made)
    for name in models(config.methods):
        text_vectors(store, fold, VARIANTS[name].text)
    return fold


def text_vectors(store: ArtifactStore, fold: Fold, text: Text) -> EmbeddingsRef:
    """Vectors of the profiles (`unified`), or of a text that no language model wrote."""
    made, config = fold.made, fold.run.embedding
    if text not in fold.vectors:
        fold.vectors[text] = (
            embed(
                store, catalogue=made.data.catalogue, items=made.item_profiles,
                users=made.user_profiles, config=config,
            )
            if text == "unified"
            else raw_text_vectors(
                store, catalogue=made.data.catalogue, known_users=made.data.known_users,
                users=made.user_profiles, config=config, text=text
            )
        )  # fmt: skip
    return fold.vectors[text]


def rank(
    store: ArtifactStore, config: ReproduceConfig, log: RunLog, folds: Sequence[Fold]
) -> list[dict[str, Ranked]]:
    """Every method's lists on every fold; what takes long is spread over folds and methods."""
    fitted = [*(name for name in config.methods if name not in VARIANTS), *models(config.methods)]
    jobs = [(fold, name) for fold in folds for name in fitted]

    def submit(job: tuple[Fold, Method]) -> Submitted[ListsRef | ModelRef]:
        return _submitted(store, config, *job)

    fan = FanOutConfig(shards_at_once=config.at_once)
    done = fan_out(jobs, submit, fan, "folds and methods")
    for (fold, name), ref in zip(jobs, done, strict=True):
        fold.chosen[name] = ref
    return [
        {name: _ranked(store, config, log, fold, name) for name in config.methods}
        | _published(store, config, fold)
        for fold in folds
    ]


def _submitted(
    store: ArtifactStore, config: ReproduceConfig, fold: Fold, method: Method
) -> Submitted[ListsRef | ModelRef]:
    run, made, ratings = fold.run, fold.made, fold.made.data.scale
    if method not in VARIANTS:
        return baseline.submit(
            store, known_users=made.data.known_users, item_ids=made.data.item_ids,
            split=made.split, method=method, ratings=ratings,
            k=list_length(run), seed=run.seed,
        )  # fmt: skip
    variant = VARIANTS[method]
    return train.submit(
        store, split=made.split, graph=made.graph, embeddings=fold.vectors[variant.text],
        config=variant.graph(best=config.best, paper=config.paper), ratings=ratings, seed=run.seed,
    )  # fmt: skip


def _ranked(
    store: ArtifactStore, config: ReproduceConfig, log: RunLog, fold: Fold, method: Method
) -> Ranked:
    if method in VARIANTS and VARIANTS[method].base is not None:
        return _reranked(config, log, fold, method)
    fitted = fold.chosen[method]
    if isinstance(fitted, ListsRef):
        return Ranked(lists=fitted)
    made, k = fold.made, list_length(fold.run)
    return Ranked(
        lists=candidates(
            store,
            item_ids=made.data.item_ids,
            split=made.split,
            graph=made.graph,
            model=fitted,
            k=k,
            head=fold.run.rerank.candidates,
            config=fold.run.candidates,
        )
    )


def _reranked(config: ReproduceConfig, log: RunLog, fold: Fold, method: Method) -> Ranked:
    """The pipeline with the variant's model and strategy; it finds the model trained already."""
    variant = VARIANTS[method]
    rerank = fold.run.rerank.model_copy(update={"strategy": variant.strategy})
    run = fold.run.model_copy(
        update={"rerank": rerank, "graph": variant.graph(best=config.best, paper=config.paper)}
    )
    made = pipeline(run, log, until="fusion")
    return Ranked(lists=made.reranked, judged=made.judgements)


def _published(store: ArtifactStore, config: ReproduceConfig, fold: Fold) -> dict[str, Ranked]:
    """The authors' own lists, on the fold that they were made for."""
    folder = config.paper_file("recommendations")
    if folder is None or fold.number != _PUBLISHED_FOLD or fold.run.data != config.data:
        return {}
    return {
        f"{PREFIX}{path.stem}": Ranked(
            lists=published_lists(store, path=str(path), fingerprint=file_hash(str(path)))
        )
        for path in sorted(Path(folder).glob("*.parquet"))
    }


def measure(
    store: ArtifactStore, folds: Sequence[Fold], ranked: Sequence[dict[str, Ranked]]
) -> list[Measured]:
    """The metrics of every method's lists on every fold's test part."""
    return [
        Measured(
            data_set=fold.name,
            fold=fold.number,
            method=method,
            result=method_metrics(
                store, item_ids=fold.made.data.item_ids, split=fold.made.split,
                held_out=fold.made.held_out, lists=one.lists, method=method,
                ratings=fold.made.data.scale, config=fold.run.evaluation, seed=fold.run.seed,
            ),
            judged=one.judged,
        )
        for fold, of_methods in zip(folds, ranked, strict=True)
        for method, one in of_methods.items()
    ]  # fmt: skip


def authors(folds: Sequence[Fold]) -> list[tuple[str, int, str, str]]:
    """Data set, fold, and who wrote the profiles of items and of users."""
    return [
        (
            fold.name,
            fold.number,
            _author(fold.made.item_profiles.table("item_profiles")),
            _author(fold.made.user_profiles.table("user_profiles")),
        )
        for fold in folds
    ]


def _author(profiles: pl.DataFrame) -> str:
    return ", ".join(
        f"{model or 'nobody'} ({count:,})"
        for model, count in profiles[MODEL].value_counts(sort=True).iter_rows()
    )


def choices(folds: Sequence[Fold]) -> list[tuple[str, int, str, str]]:
    """Data set, fold, method, and what validation chose."""
    return [
        (fold.name, fold.number, method, choice)
        for fold in folds
        for method, ref in fold.chosen.items()
        if (choice := _choice(ref.manifest.facts)) is not None
    ]


def _choice(facts: Mapping[str, Any]) -> str | None:
    """What a step's facts say about its choice on validation; None for nothing chosen."""
    if "choice" in facts:
        return str(facts["choice"])
    if "epochs" in facts and "valid_ndcg" in facts:
        reached = facts["valid_ndcg"]
        shown = "" if reached is None else f", validation NDCG@10 {reached:.4f}"
        return f"{facts['epochs']} epochs{shown}"
    return None
