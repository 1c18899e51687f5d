"""The configuration of a run, composed from the sections of the packages.

Frozen models with a line of help under every field, which is also the text of `--help` and of the
Prefect form. A step receives only the sections it depends on.
"""

from typing import TYPE_CHECKING, Any

from recsys_core.config.loading import config_error, load_config
from recsys_core.config.run import FanOutConfig, RunConfig

if TYPE_CHECKING:
    from recsys_core.config.reproduction import ReproduceConfig
    from recsys_core.config.reproduction_methods import Method

__all__ = [
    "FanOutConfig", "Method", "ReproduceConfig", "RunConfig", "config_error", "load_config",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # Its choices are the methods themselves, which import scipy: others need not wait for it.
    if name == "ReproduceConfig":
        from recsys_core.config.reproduction import ReproduceConfig

        return ReproduceConfig
    if name == "Method":
        from recsys_core.config.reproduction_methods import Method

        return Method
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
