"""A self-balancing binary search tree whose comparisons are awaited.

An AVL tree (Adelson-Velsky and Landis 1962): the heights of the two sides of every node differ by
at most one, so inserting into a tree of n items takes at most 1.44 log2(n) comparisons, and
sorting n items about n log2 n. No library's sorted container takes an asynchronous comparison.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

Precedes = Callable[[T, T], Awaitable[bool]]
"""Whether the first item comes before the second."""


@dataclass(kw_only=True)
class _Node(Generic[T]):
    item: T
    before: "_Node[T] | None" = None
    after: "_Node[T] | None" = None
    height: int = 1


class AvlTree(Generic[T]):
    """Items in order; a new item is compared with those on one path from the root only."""

    def __init__(self, precedes: Precedes[T]) -> None:
        self._precedes = precedes
        self._root: _Node[T] | None = None

    async def insert(self, item: T) -> None:
        """Put `item` in its place; no pair is compared twice over all insertions."""
        path: list[tuple[_Node[T], bool]] = []
        node = self._root
        while node is not None:
            left = await self._precedes(item, node.item)
            path.append((node, left))
            node = node.before if left else node.after
        grown = _Node(item=item)
        for parent, left in reversed(path):
            if left:
                parent.before = grown
            else:
                parent.after = grown
            grown = _balanced(parent)
        self._root = grown

    def __iter__(self) -> Iterator[T]:
        path: list[_Node[T]] = []
        node = self._root
        while path or node is not None:
            while node is not None:
                path.append(node)
                node = node.before
            node = path.pop()
            yield node.item
            node = node.after

    @property
    def height(self) -> int:
        """Nodes on the longest path from the root; 0 for an empty tree."""
        return _height(self._root)


def _height(node: _Node[T] | None) -> int:
    return node.height if node is not None else 0


def _lean(node: _Node[T]) -> int:
    """How much higher the side before the node is."""
    return _height(node.before) - _height(node.after)


def _measure(node: _Node[T]) -> None:
    node.height = 1 + max(_height(node.before), _height(node.after))


def _balanced(node: _Node[T]) -> _Node[T]:
    """The root of this subtree after at most two rotations."""
    _measure(node)
    lean = _lean(node)
    if lean > 1 and node.before is not None:
        if _lean(node.before) < 0:
            node.before = _rotated_left(node.before)
        return _rotated_right(node)
    if lean < -1 and node.after is not None:
        if _lean(node.after) > 0:
            node.after = _rotated_right(node.after)
        return _rotated_left(node)
    return node


def _rotated_right(node: _Node[T]) -> _Node[T]:
    top = node.before
    if top is None:
        return node
    node.before, top.after = top.after, node
    _measure(node)
    _measure(top)
    return top


def _rotated_left(node: _Node[T]) -> _Node[T]:
    top = node.after
    if top is None:
        return node
    node.after, top.before = top.before, node
    _measure(node)
    _measure(top)
    return top
