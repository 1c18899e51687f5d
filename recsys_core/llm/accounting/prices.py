"""What a token costs: the configuration's prices, or litellm's bundled list.

The list is read as the file it is: importing litellm for it would take seconds.
"""

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from recsys_core.llm.config import LLMConfig

_LIST: Final = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, kw_only=True)
class Price:
    """Dollars per token.

    Attributes:
        cached: per prompt token that the endpoint had in its own prompt cache.
        known: False where no price was found; such calls count as 0 dollars, and it is said.
    """

    tokens_in: float = 0.0
    tokens_out: float = 0.0
    cached: float = 0.0
    known: bool = True

    def dollars(self, tokens_in: int, tokens_out: int, tokens_cached: int = 0) -> float:
        """Price of one call."""
        fresh = max(0, tokens_in - tokens_cached)
        return fresh * self.tokens_in + tokens_cached * self.cached + tokens_out * self.tokens_out


def price_of(config: LLMConfig) -> Price:
    """The price of the configured model; halved by batch files where the list has no own price."""
    if config.input_price is not None and config.output_price is not None:
        tokens_in, tokens_out = config.input_price / 1e6, config.output_price / 1e6
        return Price(tokens_in=tokens_in, tokens_out=tokens_out, cached=tokens_in)
    entry = _entry(config.model)
    if entry is None or "input_cost_per_token" not in entry:
        return Price(known=False)
    tokens_in = float(entry["input_cost_per_token"])
    tokens_out = float(entry.get("output_cost_per_token") or 0)
    cached = float(entry.get("cache_read_input_token_cost") or tokens_in)
    if config.batch:
        tokens_in = float(entry.get("input_cost_per_token_batches") or tokens_in / 2)
        tokens_out = float(entry.get("output_cost_per_token_batches") or tokens_out / 2)
        cached = min(cached, tokens_in)
    return Price(tokens_in=tokens_in, tokens_out=tokens_out, cached=cached)


def _entry(model: str) -> dict[str, Any] | None:
    prices = _prices()
    provider, _, name = model.partition("/")
    found = prices.get(model)
    if found is None and prices.get(name, {}).get("litellm_provider") == provider:
        found = prices[name]
    return found


@cache
def _prices() -> dict[str, dict[str, Any]]:
    found = importlib.util.find_spec("litellm")
    if found is None or not found.submodule_search_locations:
        return {}
    path = Path(found.submodule_search_locations[0]) / _LIST
    loaded: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return loaded
