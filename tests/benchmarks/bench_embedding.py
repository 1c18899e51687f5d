"""Embedding against the stock `SentenceTransformer.encode`: at least 3x, cosine at least .999."""

import time
from typing import Any

import numpy as np

from recsys_core.embedding import Embedder
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.embedding.model_files import model_folder
from tests.benchmarks.texts import profile_texts

N_TEXTS = 400


def main() -> None:
    from sentence_transformers import SentenceTransformer

    texts = profile_texts(N_TEXTS)
    stock = SentenceTransformer(str(model_folder(EmbeddingConfig().model)), device="cpu")
    ours = Embedder(EmbeddingConfig())
    ours.encode(texts[:8])
    stock.encode(texts[:8])
    # In turn, so that a machine that slows down slows both.
    seconds = {"stock": 0.0, "ours": 0.0}
    found: dict[str, list[Any]] = {"stock": [], "ours": []}
    for start in range(0, N_TEXTS, 100):
        some = texts[start : start + 100]
        for name, encode in (("stock", stock.encode), ("ours", ours.encode)):
            started = time.perf_counter()
            found[name].append(encode(some))
            seconds[name] += time.perf_counter() - started
    a, b = (np.concatenate(found[name]) for name in ("stock", "ours"))
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    print(f"stock fp32      {N_TEXTS / seconds['stock']:6.1f} texts/s")
    print(f"{ours.backend:<15} {N_TEXTS / seconds['ours']:6.1f} texts/s")
    print(f"ratio {seconds['stock'] / seconds['ours']:.2f}x (at least 3), ", end="")
    print(f"smallest cosine {cosine.min():.5f} (at least .999)")
