"""bfloat16 is for dense products alone; on the CPU the same code runs as on CUDA."""

import pytest
import torch

from recsys_core.errors import ConfigError
from recsys_core.graph.model.mixed_precision import Dense, choose_precision
from recsys_core.graph.model.sparse_ops import TorchMessagePassing
from tests.graph_world import CONFIGS, result, run

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
MIXED = {
    name: one.model_copy(update={"precision": "bfloat16", "retrain": False})
    for name, one in CONFIGS.items()
}


@pytest.mark.parametrize("preset", MIXED)
def test_it_learns_as_well_and_keeps_32_bits(preset: str) -> None:
    mixed = run(MIXED[preset])
    exact = run(CONFIGS[preset].model_copy(update={"retrain": False}))
    assert mixed.facts["valid_ndcg"] > exact.facts["valid_ndcg"] - 0.05
    assert result(mixed) != result(exact)
    assert {one.dtype for one in mixed.weights.values()} == {torch.float32}
    assert mixed.user_vectors.dtype == "float32"
    assert mixed.facts["precision"] == "bfloat16 (as configured)"
    assert exact.facts["precision"].startswith("float32")


def test_one_seed_gives_the_same_bytes() -> None:
    config = MIXED["paper"].model_copy(update={"max_epochs": 4})
    assert result(run(config)) == result(run(config))


@pytest.mark.parametrize("preset", MIXED)
def test_no_message_is_passed_in_bfloat16(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[torch.dtype] = set()
    summed = TorchMessagePassing.weighted_sum

    def note(
        self: TorchMessagePassing, features: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        assert not torch.is_autocast_enabled("cpu")
        seen.update((features.dtype, weights.dtype))
        return summed(self, features, weights)

    monkeypatch.setattr(TorchMessagePassing, "weighted_sum", note)
    run(MIXED[preset].model_copy(update={"max_epochs": 2}))
    assert seen == {torch.float32}


def test_products_are_rounded_to_bfloat16_and_gradients_are_not() -> None:
    torch.manual_seed(0)
    dense, data = Dense(16, 8), torch.randn(4, 16)
    exact = dense(data)
    dense.compute = torch.bfloat16
    rounded = dense(data)
    assert rounded.dtype == torch.float32
    assert 0 < (rounded - exact).abs().max() < 0.05
    rounded.sum().backward()
    assert dense.weight.grad is not None
    assert dense.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(
    ("wanted", "device", "able", "found"),
    [("auto", CPU, True, torch.float32), ("auto", CUDA, True, torch.bfloat16),
     ("auto", CUDA, False, torch.float32), ("float32", CUDA, True, torch.float32),
     ("bfloat16", CPU, False, torch.bfloat16), ("bfloat16", CUDA, True, torch.bfloat16)],
)  # fmt: skip
def test_auto_is_bfloat16_where_the_gpu_has_it(
    wanted: str, device: torch.device, able: bool, found: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: able)
    assert choose_precision(wanted, device)[0] == found  # type: ignore[arg-type]


def test_a_gpu_without_bfloat16_is_a_config_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an old GPU")
    with pytest.raises(ConfigError, match="an old GPU"):
        choose_precision("bfloat16", CUDA)
