"""Mixed precision: dense products in bfloat16, everything else in 32 bits.

Sums over neighbours, softmax, normalisation, losses and parameters keep 32 bits: there the digits
matter, and sparse kernels know no bfloat16. Unlike float16, bfloat16 has the range of 32 bits, so
that gradients need no scaling.
"""

from typing import Literal

import torch
from torch import nn

from recsys_core.errors import ConfigError

Precision = Literal["auto", "float32", "bfloat16"]


class Dense(nn.Linear):
    """A linear map (n, d_in) -> (n, d_out) that may compute in bfloat16.

    Attributes:
        compute: type of the numbers that are multiplied; parameters and results keep theirs.
    """

    compute: torch.dtype = torch.float32

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """As `nn.Linear`, in the type of `input`."""
        if self.compute == torch.float32:
            return super().forward(input)
        with torch.autocast(input.device.type, dtype=self.compute):
            return super().forward(input).to(input.dtype)


def set_precision(model: nn.Module, precision: torch.dtype) -> None:
    """Let every `Dense` of the model compute in `precision`."""
    for one in model.modules():
        if isinstance(one, Dense):
            one.compute = precision


def choose_precision(wanted: Precision, device: torch.device) -> tuple[torch.dtype, str]:
    """The type that dense products are computed in, and what to say about it.

    Raises:
        ConfigError: bfloat16 was asked for on a GPU that has none.
    """
    able = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if wanted == "bfloat16" and device.type == "cuda" and not able:
        raise ConfigError(
            f"graph.precision is 'bfloat16', but {torch.cuda.get_device_name(device)} has none.",
            expected="a GPU of compute capability 8.0 or more.",
            fix="set graph.precision to 'auto' or 'float32'.",
        )
    half = wanted == "bfloat16" or (wanted == "auto" and able)
    why = "chosen by auto" if wanted == "auto" else "as configured"
    return (torch.bfloat16, f"bfloat16 ({why})") if half else (torch.float32, f"float32 ({why})")
