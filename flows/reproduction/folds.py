"""The waves of the reproduction: prepare every fold, rank by every method, measure every list."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from flows.embed import vectorise
from flows.ingest import Sources, prepare
from flows.profile import Profiles, describe
from flows.rerank import judge
from flows.train import Trained
from recsys_core.artifacts import ArtifactRef, ArtifactStore, file_hash
from recsys_core.columns import MODEL
from recsys_core.config import FanOutConfig, Method, ReproduceConfig, RunConfig
from recsys_core.config.reproduction_methods import VARIANTS
from recsys_core.config.reproduction_methods import trained as models
from recsys_core.datasets.config import DataConfig
from tasks import train as training
from tasks.candidates import candidates
from tasks.graph import graph
from tasks.reproduction.notes import PREFIX
from tasks.reproduction.report import Measured, chosen
from tasks.reproduction.steps import LISTS, baseline, measured, plain_vectors, published_lists
from tasks.runtime.shards import fan_out
from tasks.runtime.step import Submitted

RERANKED: Final = "reranked"
_PUBLISHED_FOLD: Final = 1


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One fold of one data set, ready for every method."""

    run: RunConfig
    number: int
    sources: Sources
    profiles: Profiles
    nodes: ArtifactRef
    vectors: dict[str, ArtifactRef] = field(default_factory=dict)
    chosen: dict[Method, ArtifactRef] = field(default_factory=dict)
    """Method -> the artifact whose facts tell what validation chose."""

    @property
    def name(self) -> str:
        """The data set's name."""
        return str(self.sources.data.manifest.facts["name"])


@dataclass(frozen=True, kw_only=True)
class Lists:
    """An artifact, the table in it that holds the lists, and what they were reranked by, if so."""

    ref: ArtifactRef
    table: str = LISTS
    judged: ArtifactRef | None = None


def prepare_folds(store: ArtifactStore, config: ReproduceConfig) -> list[Fold]:
    """Split, profiles and graph of every fold; the texts' vectors that the methods need."""
    wanted: list[tuple[DataConfig, int]] = [(config.data, fold) for fold in config.folds]
    wanted += [(config.large_data, fold) for fold in config.large_folds]
    return [_prepared(store, config, data, fold) for data, fold in wanted]


def _prepared(store: ArtifactStore, config: ReproduceConfig, data: DataConfig, number: int) -> Fold:
    run = config.run(data, number)
    sources = prepare(store, run)
    profiles = describe(store, run, sources)
    nodes = graph(store, sources.data, sources.parts)
    fold = Fold(run=run, number=number, sources=sources, profiles=profiles, nodes=nodes)
    for text in dict.fromkeys(VARIANTS[name].text for name in models(config.methods)):
        fold.vectors[text] = (
            vectorise(store, run, sources, profiles)
            if text == "unified"
            else plain_vectors(store, sources.data, profiles.users, run.embedding, text)
        )
    return fold


def rank(
    store: ArtifactStore, config: ReproduceConfig, folds: Sequence[Fold]
) -> list[dict[str, Lists]]:
    """Every method's lists on every fold; what takes long is spread over folds and methods."""
    plain = [name for name in config.methods if name not in VARIANTS]
    trained = models(config.methods)
    jobs = [(fold, name) for fold in folds for name in (*plain, *trained)]

    def submit(job: tuple[Fold, Method]) -> Submitted:
        return _submitted(store, config, *job)

    fan = FanOutConfig(shards_at_once=config.at_once)
    done = iter(fan_out(jobs, submit, fan, "folds and methods"))
    found = []
    for fold in folds:
        # `done` goes on after this fold's part.
        fold.chosen.update(zip((*plain, *trained), done, strict=False))
        lists: dict[str, Lists] = {name: Lists(ref=fold.chosen[name]) for name in plain}
        fits = {name: _trained(store, fold, name, fold.chosen[name]) for name in trained}
        for name in config.methods:
            if name in VARIANTS:
                lists[name] = _graph_lists(store, fold, name, fits)
        found.append(lists | _published(store, config, fold))
    return found


def _submitted(
    store: ArtifactStore, config: ReproduceConfig, fold: Fold, method: Method
) -> Submitted:
    run, parts = fold.run, fold.sources.parts
    if method not in VARIANTS:
        depth = _depth(run)
        return baseline.submit(
            store, fold.sources.data, parts, method, run.data.scale, depth, run.seed
        )
    variant = VARIANTS[method]
    return training.train.submit(
        store, parts, fold.nodes, fold.vectors[variant.text], variant.graph(config), run.data.scale,
        run.seed,
    )  # fmt: skip


def _trained(store: ArtifactStore, fold: Fold, method: Method, model: ArtifactRef) -> Trained:
    vectors = fold.vectors[VARIANTS[method].text]
    ranked = candidates(store, fold.sources.parts, fold.nodes, model, _depth(fold.run))
    return Trained(profiles=fold.profiles, vectors=vectors, model=model, candidates=ranked)


def _graph_lists(
    store: ArtifactStore, fold: Fold, method: Method, fits: dict[Method, Trained]
) -> Lists:
    variant = VARIANTS[method]
    if variant.base is None:
        return Lists(ref=fits[method].candidates)
    rerank = fold.run.rerank.model_copy(update={"strategy": variant.strategy})
    run = fold.run.model_copy(update={"rerank": rerank})
    fused = judge(store, run, fold.sources, fits[variant.base])
    return Lists(ref=fused.lists, table=RERANKED, judged=fused.judged)


def _published(store: ArtifactStore, config: ReproduceConfig, fold: Fold) -> dict[str, Lists]:
    """The authors' own lists, on the fold that they were made for."""
    folder = config.paper_file("recommendations")
    if folder is None or fold.number != _PUBLISHED_FOLD or fold.run.data != config.data:
        return {}
    return {
        f"{PREFIX}{path.stem}": Lists(ref=published_lists(store, str(path), file_hash(str(path))))
        for path in sorted(Path(folder).glob("*.parquet"))
    }


def measure(
    store: ArtifactStore, folds: Sequence[Fold], lists: Sequence[dict[str, Lists]]
) -> list[Measured]:
    """What every list is worth on its fold's test part."""
    return [
        Measured(
            data_set=fold.name,
            fold=fold.number,
            method=method,
            lists=one.ref,
            result=measured(
                store, fold.sources.parts, one.ref, one.table, method, fold.run.data.scale,
                fold.run.evaluation, fold.run.seed,
            ),
            judged=one.judged,
        )
        for fold, of_methods in zip(folds, lists, strict=True)
        for method, one in of_methods.items()
    ]  # fmt: skip


def authors(folds: Sequence[Fold]) -> list[tuple[str, int, str, str]]:
    """Data set, fold, and who wrote the profiles of items and of users."""
    return [
        (
            fold.name,
            fold.number,
            _author(fold.profiles.items.table("item_profiles")),
            _author(fold.profiles.users.table("user_profiles")),
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
        if (choice := chosen(ref.manifest.facts)) is not None
    ]


def _depth(run: RunConfig) -> int:
    return max(run.rerank.candidates, *run.evaluation.cutoffs)
