"""Item-to-item maps that are read off the ratings or the items' features, without a fit."""

from typing import Final

import numpy as np
import torch
from scipy import sparse

from recsys_core.graph.components.item_maps import normalised
from recsys_core.graph.components.sparse_products import cut_product
from recsys_core.graph.interaction_graph import Floats

_BLOCK_CELLS: Final = 16_000_000
"""Cosines held at once (64 MB): bounds memory, changes nothing."""


def user_knn(matrix: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """User-kNN with all users as neighbours, as an item-to-item map.

    A user is as near as the dot product of both rows of N = D_u^-1/2 X D_i^-1/2, and gives what
    they rated: scores are N (N' X), so the map is D_i^-1/2 N' X.

    Args:
        matrix: X, (n_users, n_items) weights.
        most: entries kept per row.
    """
    edges = normalised(matrix, 0.5, 0.5)
    degrees = np.maximum(np.asarray(matrix.sum(0)).ravel(), 1.0)
    scaled = sparse.csr_matrix(sparse.diags((degrees**-0.5).astype(np.float32)) @ edges.T)
    return cut_product(scaled, sparse.csr_matrix(matrix, dtype=np.float32), most)


def one_hop(matrix: sparse.csr_matrix, most: int) -> sparse.csr_matrix:
    """Two steps over the normalised edges: N' N with N = D_u^-1/2 X D_i^-1/2, no diagonal.

    Args:
        matrix: X, (n_users, n_items) weights.
        most: entries kept per row.
    """
    edges = normalised(matrix, 0.5, 0.5)
    found = cut_product(sparse.csr_matrix(edges.T), edges, most + 1)
    found.setdiag(0.0)
    found.eliminate_zeros()
    return found


def feature_neighbours(features: Floats, most: int) -> sparse.csr_matrix:
    """The items of the nearest features, and their cosines.

    Args:
        features: (n_items, d); an item of zeros is like no other.
        most: neighbours kept per item.

    Returns:
        (n_items, n_items) cosines, the negative ones left out, without the diagonal.
    """
    lengths = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    vectors = torch.from_numpy((features / lengths).astype(np.float32))
    n_items = len(vectors)
    most, step = min(most, n_items - 1), max(1, _BLOCK_CELLS // n_items)
    cosines, items = [], []
    for start in range(0, n_items, step):
        block = vectors[start : start + step] @ vectors.T
        rows = torch.arange(len(block))
        block[rows, rows + start] = -1.0
        best = block.topk(most, dim=1)
        cosines.append(best.values.clamp(min=0.0).numpy())
        items.append(best.indices.numpy().astype(np.int32))
    starts = np.arange(n_items + 1) * most
    data = np.concatenate(cosines).ravel(), np.concatenate(items).ravel(), starts
    found = sparse.csr_matrix(data, (n_items, n_items))
    found.eliminate_zeros()
    return found
