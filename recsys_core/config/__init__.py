"""The configuration of a run, composed from the sections of the packages.

Frozen models with a line of help under every field, which is also the text of `--help` and of the
Prefect form. A step receives only the sections it depends on.
"""

from recsys_core.config.loading import config_error, load_config
from recsys_core.config.reproduction import ReproduceConfig
from recsys_core.config.reproduction_methods import Method
from recsys_core.config.run import FanOutConfig, RunConfig

__all__ = [
    "FanOutConfig", "Method", "ReproduceConfig", "RunConfig", "config_error", "load_config",
]  # fmt: skip
