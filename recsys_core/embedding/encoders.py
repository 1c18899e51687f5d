"""The two inference back ends: OpenVINO on the CPU, and sentence-transformers (torch)."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from recsys_core.concurrency import Progress
from recsys_core.embedding.model_files import Architecture, not_installed
from recsys_core.embedding.openvino_model import Precision, load, openvino

if TYPE_CHECKING:
    import openvino as ov

Vectors = npt.NDArray[np.float32]
"""Shape (n, d)."""


class Encoder(Protocol):
    """Turns texts into vectors, as `SentenceTransformer.encode` of its model does."""

    @property
    def name(self) -> str:
        """Back end, with its precision or device, for the run's summary."""

    def encode(self, texts: Sequence[str], batch_size: int, on_text: Progress) -> Vectors:
        """Vectors (n, d) of `texts`; n is at least 1. `on_text` is told how many are done."""


class OpenVinoEncoder:
    """Runs the model as OpenVINO IR, a stream per core; imports torch only to convert it once."""

    def __init__(
        self, folder: Path, parts: Architecture, kind: Precision, cache_folder: Path
    ) -> None:
        from tokenizers import Tokenizer

        self.name = f"openvino {kind}"
        self._parts = parts
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(parts.max_tokens)
        # On several cores, independent streams beat threads that meet at every layer.
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": kind,
        }
        model = load(folder, parts, cache_folder)
        compiled = openvino().Core().compile_model(model, "CPU", settings)
        self._dimensions: int = compiled.output(0).partial_shape[1].get_length()
        self._idle: SimpleQueue[ov.InferRequest] = SimpleQueue()
        for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")):
            self._idle.put(compiled.create_infer_request())
        # What OpenVINO's binding sets up at its first use is not made for threads: two first uses
        # at once can wait for one another and for Python's lock, forever.
        compiled.create_infer_request().infer(self._inputs([np.zeros(1, np.int64)]))

    def encode(self, texts: Sequence[str], batch_size: int, on_text: Progress) -> Vectors:
        """Longest first, so that a batch holds texts of one length and the last is the shortest."""
        tokens = self._tokenizer.encode_batch_fast(list(texts))
        ids = [np.asarray(token.ids, np.int64) for token in tokens]
        order = sorted(range(len(ids)), key=lambda row: -len(ids[row]))
        found = np.empty((len(ids), self._dimensions), np.float32)

        def run(start: int) -> None:
            rows = order[start : start + batch_size]
            request = self._idle.get()
            try:
                found[rows] = request.infer(self._inputs([ids[row] for row in rows]))[0]
            finally:
                self._idle.put(request)

        # Not OpenVINO's own queue with a callback: freeing it can wait for a thread that waits
        # for Python's lock, forever.
        with ThreadPoolExecutor(self._idle.qsize()) as pool:
            for batch, _ in enumerate(pool.map(run, range(0, len(order), batch_size)), start=1):
                on_text(min(batch * batch_size, len(order)))
        return found

    def _inputs(self, ids: Sequence[npt.NDArray[np.int64]]) -> dict[str, npt.NDArray[np.int64]]:
        """Token ids and masks (batch, longest), filled up on the right."""
        tokens = np.full((len(ids), max(map(len, ids))), self._parts.pad_id, np.int64)
        mask = np.zeros_like(tokens)
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = values
            mask[row, : len(values)] = 1
        inputs = {"input_ids": tokens, "attention_mask": mask}
        return inputs | (
            {"token_type_ids": np.zeros_like(tokens)} if self._parts.token_types else {}
        )


class TorchEncoder:
    """`SentenceTransformer.encode` as it is."""

    def __init__(self, folder: Path) -> None:
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging as quiet
        except ImportError as error:
            raise not_installed(error) from error
        quiet.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._model = SentenceTransformer(str(folder), local_files_only=True)
        self.name = f"torch {self._model.device.type}"

    def encode(self, texts: Sequence[str], batch_size: int, on_text: Progress) -> Vectors:
        """Vectors in float32 on the CPU, from whatever device computed them."""
        found = self._model.encode(list(texts), batch_size=batch_size, show_progress_bar=False)
        on_text(len(texts))  # it does not tell of its batches
        return np.asarray(found, np.float32)
