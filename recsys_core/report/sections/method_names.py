"""What the names in the column "method" mean, for readers who did not choose them."""

from typing import Final

from recsys_core.recommenders.methods import BASELINES

GRAPH_METHOD: Final = "gat"
"""Name of the graph model's lists in the metrics table."""
SERVED_METHOD: Final = "served"
"""Name of the lists that the fusion's policy serves."""


def reranked_method(strategies: list[str]) -> str:
    """Name of the graph model's lists if everybody's were reranked."""
    return f"{GRAPH_METHOD}+{'/'.join(strategies)}"


def is_own(method: str) -> bool:
    """Whether these lists are of the run itself, not a baseline's."""
    return method in (SERVED_METHOD, GRAPH_METHOD) or method.startswith(f"{GRAPH_METHOD}+")


def meaning(method: str) -> str:
    """A few words; empty for a name from elsewhere."""
    if method == SERVED_METHOD:
        return "the lists of this run: the policy says whose are reranked"
    if method == GRAPH_METHOD:
        return "the graph attention network's lists, before reranking"
    if method.startswith(f"{GRAPH_METHOD}+"):
        strategy = method.removeprefix(f"{GRAPH_METHOD}+")
        return f"the same lists if everybody's were reranked ({strategy})"
    return BASELINES[method].family if method in BASELINES else ""
