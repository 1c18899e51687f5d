"""The symmetrically normalised adjacency matrix of users and items, and its products."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from recsys_core.recommenders.rating_matrix import Scores


def edge_weights(matrix: sparse.csr_matrix, item_degrees: Scores) -> sparse.csr_matrix:
    """D_users^-1/2 W D_items^-1/2 of weights W (n, n_items); a degree is a sum of weights.

    Args:
        matrix: W; its own row sums are the degrees of the users.
        item_degrees: (n_items,) of the graph that was trained on. New users are tied to it with
            the degrees that its items had then.
    """
    users = np.asarray(matrix.sum(axis=1)).ravel()
    scaled = sparse.diags(_inverse_root(users)) @ matrix @ sparse.diags(_inverse_root(item_degrees))
    return scaled.tocsr()


def degrees(matrix: sparse.csr_matrix) -> Scores:
    """Sums of the items' weights, (n_items,)."""
    total: Scores = np.asarray(matrix.sum(axis=0)).ravel()
    return total


def _inverse_root(degree: Scores) -> Scores:
    root = np.sqrt(degree)
    inverse: Scores = np.divide(1.0, root, where=root > 0, out=np.zeros_like(root))
    return inverse


class Adjacency:
    """The graph of users and items as one symmetric matrix, (n, n) with n = n_users + n_items."""

    def __init__(self, edges: sparse.csr_matrix) -> None:
        self.n_users = edges.shape[0]
        self._matrix = _torch_csr(sparse.bmat([[None, edges], [edges.T, None]], format="csr"))

    def spread(self, vectors: Tensor) -> Tensor:
        """Each node's weighted sum of its neighbours' vectors: (n, d) -> (n, d)."""
        summed: Tensor = _SymmetricProduct.apply(self._matrix, vectors)  # type: ignore[no-untyped-call]
        return summed


class _SymmetricProduct(torch.autograd.Function):
    """Product with a symmetric matrix, whose gradient is the same product.

    PyTorch's own backward pass would build the transpose at every step.
    """

    @staticmethod
    def forward(context: Any, matrix: Tensor, vectors: Tensor) -> Tensor:
        context.matrix = matrix
        product: Tensor = torch.sparse.mm(matrix, vectors)
        return product

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        return None, torch.sparse.mm(context.matrix, gradients[0].contiguous())


def _torch_csr(matrix: sparse.csr_matrix) -> Tensor:
    matrix.sort_indices()
    pointers, columns = (_long(values) for values in (matrix.indptr, matrix.indices))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        built: Tensor = torch.sparse_csr_tensor(
            pointers,
            columns,
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=True,
        )
    return built


def _long(values: npt.NDArray[np.integer]) -> Tensor:
    return torch.from_numpy(values.astype(np.int64))
