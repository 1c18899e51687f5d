"""The transformer as OpenVINO IR: converted once, cached with checksums.

The inference precision follows the processor. With AMX, bfloat16 is four times as fast as stock
float32 and the smallest cosine to it is .9999. Without AMX, bfloat16 is slower than float32, and
8-bit weights (twice as fast) reach only .998 on short texts: there it is float32.
"""

import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from recsys_core.artifacts import content_hash, storage_error
from recsys_core.embedding.model_files import Architecture, not_installed
from recsys_core.processes import remove_left_over, temporary_name

if TYPE_CHECKING:
    import openvino as ov

Precision = Literal["bf16", "f32"]

VERSION: Final = "1"
"""Part of the cache key; raise it when the conversion changes."""
_FILES: Final = ("model.xml", "model.bin")
_HASHES: Final = "sha256.json"
_CPU_FACTS: Final = Path("/proc/cpuinfo")

_TELEMETRY: Final = "openvino_telemetry"

_log = logging.getLogger(__name__)


def openvino() -> Any:
    """OpenVINO without its telemetry.

    At import and at each conversion it would tell Google Analytics, in a forked copy of this
    process that can wait for ever for a lock of another thread. Its only switch is a file in the
    user's home; without that package it imports a stub.
    """
    unwanted = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # "cannot be imported", in the language
    try:
        import openvino as found
    finally:
        del sys.modules[_TELEMETRY]
        if unwanted is not None:
            sys.modules[_TELEMETRY] = unwanted
    return found


def precision() -> Precision:
    """The fastest precision of this processor that keeps the vectors (cosine >= .999)."""
    flags = _CPU_FACTS.read_text("utf-8", "replace").split() if _CPU_FACTS.exists() else []
    return "bf16" if "amx_bf16" in flags else "f32"


def default_cache_folder() -> Path:
    """The user's cache folder (XDG)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "end-to-end-personalization" / "openvino"


def load(folder: Path, parts: Architecture, cache_folder: Path) -> "ov.Model":
    """The IR of the model in `folder`, from the cache or converted now.

    A cached file whose hash is wrong is converted again. What a killed process was writing there is
    removed.

    Raises:
        StorageError: the cache folder cannot be written.
    """
    with suppress(OSError):  # no cache yet, or one that others own
        remove_left_over(cache_folder)
    place = cache_folder / _key(folder, parts)
    if not _intact(place):
        if place.exists():
            _log.warning("damaged model cache, converting again", extra={"folder": str(place)})
        _build(folder, parts, place)
    return _read(place)


def _read(place: Path) -> "ov.Model":
    return openvino().Core().read_model(place / _FILES[0])


def _key(folder: Path, parts: Architecture) -> str:
    files = sorted([*folder.glob("*.json"), *folder.glob("*.safetensors")])
    content = {path.name: _hash_file(path) for path in files}
    version = importlib.metadata.version("openvino")
    return content_hash([VERSION, version, repr(parts), content])[:32]


def _hash_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _intact(place: Path) -> bool:
    try:
        wanted = json.loads((place / _HASHES).read_text("utf-8"))
        return all(wanted[name] == _hash_file(place / name) for name in _FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _build(folder: Path, parts: Architecture, place: Path) -> None:
    model = _convert(folder, parts)
    temporary = place.with_name(temporary_name(place.name))
    try:
        temporary.mkdir(parents=True)
        openvino().save_model(model, temporary / _FILES[0], compress_to_fp16=False)
        hashes = {name: _hash_file(temporary / name) for name in _FILES}
        (temporary / _HASHES).write_text(json.dumps(hashes), "utf-8")
        shutil.rmtree(place, ignore_errors=True)
        temporary.rename(place)
    except OSError as error:
        if not _intact(place):  # else another process was first: its files are as good
            raise storage_error(str(place), error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _convert(folder: Path, parts: Architecture) -> "ov.Model":
    """Transformer, mean pooling and normalisation as one graph: tokens in, vectors out."""
    import torch

    try:
        from transformers import AutoModel
        from transformers.utils import logging as quiet
    except ImportError as error:
        raise not_installed(error) from error
    quiet.disable_progress_bar()  # type: ignore[no-untyped-call]
    ones = torch.ones(2, 8, dtype=torch.long)
    example = {"input_ids": ones, "attention_mask": ones}
    if parts.token_types:
        example["token_type_ids"] = torch.zeros_like(ones)
    with warnings.catch_warnings():
        # Tracing warns about shape checks that hold for every batch.
        warnings.simplefilter("ignore")
        inner = AutoModel.from_pretrained(str(folder), local_files_only=True).eval()
        return openvino().convert_model(_pooled(inner, parts.normalise), example_input=example)


def _pooled(inner: Any, normalise: bool) -> Any:
    import torch

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = inner

        def forward(
            self,
            input_ids: torch.Tensor,
            attention_mask: torch.Tensor,
            token_type_ids: torch.Tensor | None = None,
        ) -> torch.Tensor:
            more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            output = self.inner(input_ids=input_ids, attention_mask=attention_mask, **more)
            hidden = output.last_hidden_state  # (batch, tokens, d)
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(mean, dim=1) if normalise else mean

    return Pooled()
