"""A served model of MovieLens 1M's size whose numbers are made up: what it costs, not what it says.

The parts have the shapes of a trained model: a network of three layers and four heads, a component
that is linear in the history, windows of time, 200 entries per row of the item-to-item part.
"""

from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from recsys_core import columns as c
from recsys_core.artifacts import ArtifactStore
from recsys_core.graph.components.dot_products.temporal_popularity import Windows
from recsys_core.graph.components.histories import HistoryInput
from recsys_core.graph.components.item_model import ItemToItemModel
from recsys_core.graph.inference.network_placing import LayerMessages, NetworkPlacing
from recsys_core.graph.inference.user_placing import HistoryColumns, UserPlacing, WindowColumns
from recsys_core.graph.interaction_graph import RATING_LEVELS, Floats
from recsys_core.interactions.feedback import RatingScale
from recsys_core.profiles.config import UserProfileConfig
from recsys_core.profiles.history_selection import select_history
from recsys_core.serving.product import contract
from recsys_core.serving.product.config import ServingConfig
from tasks.runtime.item_models import write_item_model
from tasks.runtime.vector_tables import write_vectors
from tests.benchmarks.texts import profile_texts
from tests.served_world import run

USERS, ITEMS, RATINGS = 6040, 3706, 1_000_209
HEADS, HIDDEN, TEXT, COMPONENT, WINDOWS, ROW = 4, 64, 384, 105, 32, 200
START, SECONDS = 956_703_932, 86_400 * 1000
GENRES = (
    "Action", "Adventure", "Animation", "Comedy", "Crime", "Drama", "Fantasy", "Horror", "Musical",
    "Mystery", "Romance", "Thriller", "War", "Western",
)  # fmt: skip
TAGS = ("Heist", "Road Trip", "Revenge", "Courtroom", "Space", "Witty", "Dark", "Coming of Age")


def write_product(root: Path, name: str, seed: int) -> None:
    """A served model in an artifact store, and a run of this name that left it."""
    rng = np.random.default_rng(seed)
    users = pl.Series(c.USER, np.arange(1, USERS + 1))
    items = pl.Series(c.ITEM, np.arange(1, ITEMS + 1))
    ratings, scale = _ratings(rng), RatingScale.between(1, 5)
    width = HEADS * HIDDEN + 1 + COMPONENT + WINDOWS
    config = ServingConfig.model_validate(
        {"data": {"feedback": "explicit", "rating_min": 1, "rating_max": 5}}
    )
    store = ArtifactStore(root=str(root / "artifacts"))
    with store.writer(contract.STEP, f"{seed:032x}" * 2) as out:
        write_vectors(out, contract.USER_VECTORS, users, _noise(rng, USERS, width))
        write_vectors(out, contract.ITEM_VECTORS, items, _noise(rng, ITEMS, width))
        write_vectors(out, contract.ITEM_TEXTS, items, _noise(rng, ITEMS, TEXT))
        maps = _item_model(rng)
        write_item_model(out, "", maps)
        out.data(contract.PLACING, _placing(rng).to_bytes())
        evidence = select_history(ratings, scale, UserProfileConfig())
        for table, frame in (
            (contract.ITEMS, _catalogue(rng, items)),
            (contract.USERS, users.to_frame()),
            (contract.HISTORIES, ratings),
            (contract.ITEM_PROFILES, _profiles(rng, items)),
            (contract.USER_PROFILES, _profiles(rng, users)),
            (contract.EVIDENCE, evidence),
            (contract.PROBE, pl.DataFrame(schema=dict(c.PROBE))),
        ):
            out.table(table, frame, contract.TABLES[table])
        out.fact(contract.CONTRACT, contract.VERSION, in_content=True)
        told = {
            "weighing": {"neutral": 0.5, "scale": scale.model_dump(mode="json")}, "unary": False,
            "attributes": False, "allow_repeats": False, "item_model": dict(maps.facts),
            "ratings": RATINGS, "config": config.identity(),
        }  # fmt: skip
        out.fact(contract.FACTS, told, in_content=True)
        made = out.commit(
            version="1", parameters={}, inputs={}, built_by="made", seconds=0, peak_memory_mib=0
        )
    run(root / "runs", name, made.uri)


def _noise(rng: np.random.Generator, *shape: int) -> Floats:
    return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)


def _ratings(rng: np.random.Generator) -> pl.DataFrame:
    """Histories of 20 ratings and more, as long as MovieLens 1M's, of popular items mostly."""
    lengths = np.clip(rng.lognormal(4.6, 0.95, USERS), 20, 1500)
    lengths = np.round(lengths * RATINGS / lengths.sum()).astype(int).clip(20, 2000)
    popularity = 1 / (20 + np.arange(ITEMS)) ** 0.9
    popularity /= popularity.sum()
    rated = [
        rng.choice(ITEMS, size, replace=False, p=popularity).astype(np.int64) + 1
        for size in lengths.tolist()
    ]
    count = int(lengths.sum())
    return pl.DataFrame(
        {
            c.USER: np.repeat(np.arange(1, USERS + 1), lengths), c.ITEM: np.concatenate(rated),
            c.RATING: rng.choice([1, 2, 3, 4, 5], count, p=[0.06, 0.11, 0.26, 0.35, 0.22]).astype(
                np.float32
            ),
            c.TIMESTAMP: START + rng.integers(0, SECONDS, count),
        }
    ).sort(c.USER, c.TIMESTAMP)  # fmt: skip


def _item_model(rng: np.random.Generator) -> ItemToItemModel:
    rows = np.repeat(np.arange(ITEMS), ROW)
    scored = np.concatenate([rng.choice(ITEMS, ROW, replace=False) for _ in range(ITEMS)])
    values = rng.standard_normal(len(rows)).astype(np.float32) / 10
    weights = sparse.csr_matrix((values, (rows, scored)), (ITEMS, ITEMS))
    prior = _noise(rng, ITEMS)
    return ItemToItemModel(
        maps={HistoryInput(): weights}, low_rank={}, prior=prior, newcomers=prior,
        facts={"components": {}},
    )  # fmt: skip


def _placing(rng: np.random.Generator) -> UserPlacing:
    layers = tuple(
        LayerMessages(
            sent=_noise(rng, ITEMS, HEADS, HIDDEN), source_scores=_noise(rng, ITEMS, HEADS),
            target=_noise(rng, HEADS, HIDDEN), level=_noise(rng, RATING_LEVELS, HEADS),
            transform=None, norm=None,
        )
        for _ in range(3)
    )  # fmt: skip
    network = NetworkPlacing(
        projection=_noise(rng, HEADS * HIDDEN, TEXT), offset=_noise(rng, HEADS * HIDDEN),
        layers=layers, item_degrees=rng.integers(1, 3000, ITEMS).astype(np.float32),
        evidence=np.array([1.0, 2.0], np.float32),
        settings={
            "edges": "all", "loss": "softmax", "user_text_scale": 0.3, "user_text_half_life": 10.0,
            "layer_combination": "mean", "temperature": 0.25, "symmetric_normalization": True,
        },
    )  # fmt: skip
    columns = HistoryColumns(input=HistoryInput(), rated=_noise(rng, ITEMS, COMPONENT))
    windows = Windows(start=float(START), width=SECONDS / WINDOWS, count=WINDOWS)
    return UserPlacing(
        network=network, weight=1.0, columns=((1.0, columns), (1.0, WindowColumns(windows=windows)))
    )


def _labels(rng: np.random.Generator, names: tuple[str, ...], count: int) -> list[list[str]]:
    return [
        rng.choice(names, int(size), replace=False).tolist() for size in rng.integers(1, 4, count)
    ]


def _catalogue(rng: np.random.Generator, items: pl.Series) -> pl.DataFrame:
    texts = profile_texts(items.len(), 40)
    return pl.DataFrame(
        {
            c.ITEM: items, c.TITLE: [f"Title {number}" for number in items.to_list()],
            c.YEAR: pl.Series(rng.integers(1930, 2001, items.len()), dtype=pl.Int32),
            c.GENRES: _labels(rng, GENRES, items.len()), c.OVERVIEW: texts, c.AVAILABLE: True,
        }
    )  # fmt: skip


def _profiles(rng: np.random.Generator, ids: pl.Series) -> pl.DataFrame:
    texts = profile_texts(ids.len(), 60)
    return pl.DataFrame(
        {
            ids.name: ids, c.OVERVIEW: texts, c.GENRES: _labels(rng, GENRES, ids.len()),
            c.TAGS: _labels(rng, TAGS, ids.len()), c.DESCRIPTION: texts,
            c.DISLIKES: [[] for _ in range(ids.len())], c.MARKDOWN: texts, c.MODEL: "rules",
            c.PROMPT_VERSION: "made", c.EVIDENCE_HASH: "", c.TURNS: 1, c.STATUS: "ok",
        },
        schema_overrides={c.TURNS: pl.Int32, c.DISLIKES: pl.List(pl.String)},
    )  # fmt: skip
