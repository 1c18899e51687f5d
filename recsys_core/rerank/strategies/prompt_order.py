"""In which order candidates stand in prompts.

A model favours places of a prompt (position bias), so orders are drawn; and a prompt that changes
only because the graph's scores moved is paid for again, so what is drawn depends on the items' ids
and the user's seed alone, never on the graph's order.
"""

from collections.abc import Sequence

import numpy as np

from recsys_core.prompt_context.models import UserContext


def drawn_order(context: UserContext, rng: np.random.Generator) -> list[int]:
    """Places of all candidates in an order that depends on their ids and `rng` alone."""
    by_id = sorted(range(len(context.candidates)), key=lambda place: context.candidates[place].id)
    return [by_id[position] for position in rng.permutation(len(by_id))]


def rotated_blocks(order: Sequence[int], looks: int) -> list[tuple[int, ...]]:
    """`looks` orders of the same items, in which every item stands early and late equally often.

    The order is cut into `looks` blocks; look k starts with block k, and odd looks reverse every
    block. So each block stands once in each place, and within it an item's distances from the two
    ends take turns; random shuffles would leave some items late in every look. The first look is
    `order` itself, whatever the number of looks.
    """
    blocks = [list(map(int, block)) for block in np.array_split(np.asarray(order, int), looks)]
    found = []
    for look in range(looks):
        turned = blocks[look:] + blocks[:look]
        parts = [block[::-1] if look % 2 else block for block in turned]
        found.append(tuple(item for part in parts for item in part))
    return found
