import asyncio
import math

from hypothesis import given
from hypothesis import strategies as st

from recsys_core.rerank.strategies.search_tree import AvlTree


def build(numbers: list[int]) -> tuple[AvlTree[int], list[tuple[int, int]]]:
    asked: list[tuple[int, int]] = []

    async def precedes(one: int, other: int) -> bool:
        asked.append((one, other))
        await asyncio.sleep(0)
        return one < other

    tree = AvlTree(precedes)

    async def insert() -> None:
        for number in numbers:
            await tree.insert(number)

    asyncio.run(insert())
    return tree, asked


@given(st.lists(st.integers(0, 500), max_size=80, unique=True))
def test_sorted_balanced_and_no_pair_asked_twice(numbers: list[int]) -> None:
    tree, asked = build(numbers)
    assert list(tree) == sorted(numbers)
    assert tree.height <= 1.4405 * math.log2(len(numbers) + 2)
    assert len({frozenset(pair) for pair in asked}) == len(asked)


def test_twenty_items_cost_about_n_log_n() -> None:
    for numbers in (list(range(20)), list(range(20))[::-1], [7 * n % 20 for n in range(20)]):
        _, asked = build(numbers)
        assert len(asked) <= 20 * math.log2(20)  # 86.4


def test_nothing() -> None:
    tree, _ = build([])
    assert list(tree) == []
    assert tree.height == 0
