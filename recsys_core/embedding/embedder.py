"""Choose a back end, embed every distinct text once."""

import importlib.util
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recsys_core.concurrency import Progress
from recsys_core.embedding.cache import VectorCache
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.embedding.encoders import Encoder, OpenVinoEncoder, TorchEncoder, Vectors
from recsys_core.embedding.model_files import Architecture, architecture, fingerprint, model_folder
from recsys_core.embedding.openvino_model import default_cache_folder, precision
from recsys_core.errors import ConfigError

_log = logging.getLogger(__name__)


class Embedder:
    """Text embeddings of one sentence-transformers model (paper, section 2.2).

    The vectors are those of `SentenceTransformer.encode`, normalised where the model does so
    (cosine >= .999 for every text on the faster back end).

    Args:
        config: model, back end and batch size.
        cache_folder: where converted models are kept. Default: the user's cache folder.

    Attributes:
        backend: what computes, and why where that was not the first choice; for the summary.
        identity: what vectors depend on beside the text, for a cache of them.

    Raises:
        ConfigError: the model or the back end cannot be used.
        SourceUnavailable: the model is neither packaged nor here, and the hub does not answer.
    """

    def __init__(self, config: EmbeddingConfig, *, cache_folder: Path | None = None) -> None:
        self._batch_size = config.batch_size
        folder = model_folder(config.model)
        self._encoder, reason = _open(config, folder, cache_folder or default_cache_folder())
        self.identity = f"{fingerprint(folder)} {self._encoder.name}"
        self.backend = self._encoder.name + (f" ({reason})" if reason else "")
        _log.info("embedder", extra={"model": config.model, "backend": self.backend})

    def encode(self, texts: Sequence[str], on_text: Progress = lambda _: None) -> Vectors:
        """Vectors (n, d) of `texts`, float32, in their order; equal texts are embedded once.

        `on_text` is told how many of the distinct texts are done.
        """
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        found = self._encoder.encode(list(row_of) or [""], self._batch_size, on_text)
        return found[np.array([row_of[text] for text in texts], dtype=np.intp)]

    def encode_new(
        self, texts: Sequence[str], cache: VectorCache, on_text: Progress = lambda _: None
    ) -> tuple[Vectors, int]:
        """Like `encode`, but only of texts that `cache` does not know; it keeps the new ones.

        An empty text is described by nothing: its vector is zeros.

        Returns:
            The vectors (n, d), and how many distinct texts were embedded.
        """
        known = cache.get(texts)
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new or not texts:
            made = self.encode(new or [""], on_text)
            cache.put(new, made[: len(new)])
            known |= dict(zip(new, made, strict=False))
        rows = [known[text] for text in texts]
        found = np.stack(rows) if rows else made[:0]
        found[[not text for text in texts]] = 0
        return found, len(new)


def _open(config: EmbeddingConfig, folder: Path, cache_folder: Path) -> tuple[Encoder, str]:
    """The encoder, and the reason why it is not the faster one (empty where it is)."""
    if config.backend == "torch" or (config.backend == "auto" and _has_cuda()):
        return TorchEncoder(folder), ""
    parts = _openvino_parts(folder)
    if isinstance(parts, Architecture):
        return OpenVinoEncoder(folder, parts, precision(), cache_folder), ""
    if config.backend == "openvino":
        raise ConfigError(
            f"embedding.backend is openvino, but it cannot run {config.model!r}: {parts}.",
            expected="an encoder with mean pooling, and openvino installed.",
            fix="set embedding.backend to auto or torch.",
        )
    return TorchEncoder(folder), f"not openvino: {parts}"


def _openvino_parts(folder: Path) -> Architecture | str:
    if importlib.util.find_spec("openvino") is None:
        return "openvino is not installed"
    return architecture(folder)


def _has_cuda() -> bool:
    """Whether torch can use CUDA; torch (seconds) is imported only where a device may be."""
    devices = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
    if sys.platform == "linux" and not any(device.exists() for device in devices):
        return False
    import torch

    return bool(torch.cuda.is_available())
