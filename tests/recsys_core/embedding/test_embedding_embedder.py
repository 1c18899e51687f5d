"""The fast back end against sentence-transformers itself, and the cache of converted models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys_core import processes
from recsys_core.embedding import Embedder
from recsys_core.embedding import model_files as folder
from recsys_core.embedding import openvino_model as ir
from recsys_core.embedding.config import EmbeddingConfig
from recsys_core.embedding.model_files import Architecture, architecture
from recsys_core.errors import ConfigError, SourceUnavailable

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "cop", "thief", "city", "rain"]
TEXTS = ["", "a cop", "a thief in the city", "rain " * 50, "日本語 \u202e<b>", "a cop"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder with a random two-layer BERT of 32 dimensions."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    base = tmp_path_factory.mktemp("bert")
    rows = {word: row for row, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(rows, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "model_max_length": 64}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(base)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    shape = {"intermediate_size": 64, "max_position_embeddings": 64, "vocab_size": len(WORDS)}
    BertModel(BertConfig(**size, **shape)).eval().save_pretrained(base)
    parts = [Transformer(str(base), max_seq_length=32), Pooling(32), Normalize()]
    SentenceTransformer(modules=parts, device="cpu").save(
        str(base / "model"), create_model_card=False
    )
    return base / "model"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def own_model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def _embedder(model: Path | str, cache: Path, backend: str = "openvino") -> Embedder:
    config = EmbeddingConfig(model=str(model), backend=backend, batch_size=3)
    return Embedder(config, cache_folder=cache)


def _edit(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_both_back_ends_give_the_same_vectors(tiny_model: Path, cache: Path) -> None:
    fast, stock = (_embedder(tiny_model, cache, name) for name in ("openvino", "torch"))
    found, expected = fast.encode(TEXTS), stock.encode(TEXTS)
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == (len(TEXTS), 32)
    assert (found * expected).sum(axis=1).min() > 0.999
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-3)
    assert np.abs(expected[1] - expected[3]).max() > 1e-3, "the model tells texts apart"
    assert fast.backend.startswith("openvino")
    assert stock.backend == "torch cpu"


def test_equal_texts_are_embedded_once(
    tiny_model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = _embedder(tiny_model, cache)
    asked: list[str] = []
    inner = embedder._encoder.encode

    def spy(texts: list[str], batch_size: int, *more: object) -> np.ndarray:
        asked.extend(texts)
        return inner(texts, batch_size, *more)

    monkeypatch.setattr(embedder._encoder, "encode", spy)
    found = embedder.encode(["a cop", "rain", "a cop"])
    assert asked == ["a cop", "rain"]
    assert np.array_equal(found[0], found[2])


def test_no_texts_give_no_vectors(tiny_model: Path, cache: Path) -> None:
    assert _embedder(tiny_model, cache).encode([]).shape == (0, 32)


def test_a_vector_does_not_depend_on_its_neighbours(tiny_model: Path, cache: Path) -> None:
    embedder = _embedder(tiny_model, cache)
    together = embedder.encode(TEXTS)
    alone = np.concatenate([embedder.encode([text]) for text in TEXTS])
    assert together == pytest.approx(alone, abs=1e-2 if ir.precision() == "bf16" else 1e-5)


def test_a_warm_cache_needs_no_torch(tiny_model: Path, cache: Path) -> None:
    _embedder(tiny_model, cache)
    code = (
        "import sys; from pathlib import Path;"
        "from recsys_core.embedding.config import EmbeddingConfig;"
        "from recsys_core.embedding import Embedder;"
        f"config = EmbeddingConfig(model={str(tiny_model)!r}, backend='openvino');"
        f"Embedder(config, cache_folder=Path({str(cache)!r})).encode(['a cop']);"
        "print({'torch', 'sentence_transformers', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    ("backend", "package"), [("torch", "sentence_transformers"), ("openvino", "transformers")]
)
def test_a_training_worker_without_the_packages_is_told_what_to_run_first(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend, package
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"{package}.*\n.*\n.*flow `embed`"):
        _embedder(tiny_model, tmp_path, backend)


def test_to_convert_and_embed_asks_nobody_and_forks_nothing(
    tiny_model: Path, tmp_path: Path
) -> None:
    """OpenVINO's telemetry does both, at import and at each conversion."""
    code = f"""
import sys
heard = []
sys.addaudithook(lambda event, _: heard.append(event) if event in (
    "socket.getaddrinfo", "socket.connect", "os.fork") else None)
from pathlib import Path
from recsys_core.embedding import Embedder
from recsys_core.embedding.config import EmbeddingConfig
config = EmbeddingConfig(model={str(tiny_model)!r}, backend="openvino")
Embedder(config, cache_folder=Path({str(tmp_path)!r})).encode(["a cop"])
print(heard, "openvino_telemetry" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
    assert len(list(tmp_path.iterdir())) == 1, "it was converted here"


def test_what_a_killed_conversion_left_is_removed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    ours = processes.temporary_name("ours")
    with monkeypatch.context() as patch:
        patch.setattr(processes, "this_process", lambda: processes.Process(
            host=processes._host(), pid=dead.pid, started=1))  # fmt: skip
        theirs = processes.temporary_name("theirs")
    for name in (ours, theirs, "somebody's"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.bin").write_bytes(b"half")
    _embedder(tiny_model, tmp_path)
    assert not (tmp_path / theirs).exists()
    assert (tmp_path / ours / "model.bin").exists(), "who writes there is alive"
    assert (tmp_path / "somebody's" / "model.bin").exists()


@pytest.mark.parametrize("name", ["model.bin", "model.xml", "sha256.json"])
@pytest.mark.parametrize("damage", ["truncate", "alter", "remove"])
def test_a_damaged_cache_is_built_again(
    own_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: str
) -> None:
    # The conversion itself is tested above; here it only counts.
    built = []

    def build(model: Path, parts: Architecture, place: Path) -> None:
        built.append(place)
        place.mkdir(parents=True, exist_ok=True)
        for file in ir._FILES:
            (place / file).write_bytes(b"content")
        hashes = {file: ir._hash_file(place / file) for file in ir._FILES}
        (place / ir._HASHES).write_text(json.dumps(hashes))

    monkeypatch.setattr(ir, "_build", build)
    monkeypatch.setattr(ir, "_read", lambda place: place)
    parts = architecture(own_model)
    place = ir.load(own_model, parts, tmp_path / "cache")
    ir.load(own_model, parts, tmp_path / "cache")
    assert len(built) == 1
    file = place / name
    actions = {
        "truncate": lambda: file.write_bytes(file.read_bytes()[:3]),
        "alter": lambda: file.write_bytes(b"!" + file.read_bytes()[1:]),
        "remove": file.unlink,
    }
    actions[damage]()
    ir.load(own_model, parts, tmp_path / "cache")
    assert len(built) == 2


def test_other_weights_have_another_place(own_model: Path) -> None:
    parts = architecture(own_model)
    before = ir._key(own_model, parts)
    weights = own_model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    assert ir._key(own_model, parts) != before


def test_a_failed_conversion_leaves_nothing(
    own_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import openvino

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ir, "_convert", lambda *_: object())
    monkeypatch.setattr(openvino, "save_model", fail)
    with pytest.raises(KeyboardInterrupt):
        ir.load(own_model, architecture(own_model), tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("file", "values", "reason"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "cls"}, "its pooling is cls"),
        ("1_Pooling/config.json", {"pooling_mode": ["mean", "max"]}, "its pooling is max, mean"),
        ("config.json", {"model_type": "qwen2"}, "its type is 'qwen2'"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "it lowercases"),
        ("config_sentence_transformers.json", {"default_prompt_name": "q"}, "it puts a prompt"),
    ],
)
def test_what_openvino_would_change_is_left_to_torch(
    own_model: Path, cache: Path, file: str, values: dict[str, object], reason: str
) -> None:
    _edit(own_model / file, **values)
    found = architecture(own_model)
    assert isinstance(found, str)
    assert found.startswith(reason)
    with pytest.raises(ConfigError, match=reason):
        _embedder(own_model, cache)


def test_the_summary_says_why_openvino_is_not_used(
    own_model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys_core.embedding.embedder._has_cuda", lambda: False)
    (own_model / "tokenizer.json").rename(own_model / "aside.json")
    monkeypatch.setattr(
        "recsys_core.embedding.embedder.TorchEncoder",
        lambda folder: type("E", (), {"name": "torch cpu"})(),
    )
    embedder = _embedder(own_model, cache, "auto")
    assert embedder.backend == "torch cpu (not openvino: it has no tokenizer.json)"


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, {"mean"}),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, {"cls_token"}),
    ],
)
def test_older_pooling_files_are_read(
    own_model: Path, old: dict[str, bool], expected: set[str]
) -> None:
    (own_model / "1_Pooling" / "config.json").write_text(json.dumps(old))
    assert folder._pooling(own_model) == expected


def test_a_broken_model_file_is_named(own_model: Path) -> None:
    (own_model / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json cannot be read"):
        architecture(own_model)


def test_a_name_that_cannot_be_a_model() -> None:
    with pytest.raises(ConfigError, match="neither a folder nor the name"):
        folder.model_folder("no/such/folder/here")


def test_an_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(*_: object, **__: object) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(SourceUnavailable, match="the hub did not give it: no route") as caught:
        folder.model_folder("someone/some-model")
    assert "all-MiniLM-L6-v2" in caught.value.fix


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags : sse avx512f amx_bf16", "bf16"),
        ("flags : avx512_bf16 avx512_vnni", "f32"),
        ("", "f32"),
    ],
)
def test_precision_follows_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: str
) -> None:
    (tmp_path / "cpuinfo").write_text(flags)
    monkeypatch.setattr(ir, "_CPU_FACTS", tmp_path / "cpuinfo")
    assert ir.precision() == expected


@pytest.mark.slow
def test_the_packaged_model_equals_sentence_transformers(cache: Path) -> None:
    texts = [*TEXTS, "Heat (1995). Genres: Crime. Tags: heist. " + "A long and tense story. " * 80]
    model = EmbeddingConfig().model
    found, expected = (
        _embedder(model, cache, name).encode(texts) for name in ("openvino", "torch")
    )
    assert found.shape == (len(texts), 384)
    assert (found * expected).sum(axis=1).min() > 0.999


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_progress_is_told_and_ends_at_all_distinct_texts(tiny_model, cache, backend) -> None:
    told: list[int] = []
    texts = ["a cop", "rain", "a cop", "thief", "city"]
    _embedder(tiny_model, cache, backend).encode(texts, told.append)
    assert told == ([3, 4] if backend == "openvino" else [4]), "in batches of three"
