"""The index structure of a sparse matrix in compressed rows (CSR), and that of its transpose."""

from functools import cached_property
from typing import Self

import torch

from recsys_core.errors import TrainingError


class CSR:
    """Positions of the entries of a sparse matrix in compressed rows; duplicates are allowed.

    Args:
        starts: (n_rows + 1,) where the places of each row begin.
        columns: (n,) column of each place.
        n_columns: number of columns.

    Both tensors are kept in 32 bits where these suffice: sparse kernels read half as much, and
    those of MKL would copy wider ones at every call.
    """

    def __init__(self, starts: torch.Tensor, columns: torch.Tensor, n_columns: int) -> None:
        kind = index_type(max(len(columns), n_columns, len(starts)))
        self.starts, self.columns = starts.to(kind), columns.to(kind)
        self.shape = (len(starts) - 1, n_columns)

    @classmethod
    def of_sorted(cls, rows: torch.Tensor, columns: torch.Tensor, shape: tuple[int, int]) -> Self:
        """The csr of the places (rows, columns), each (n,), in this order.

        Raises:
            TrainingError: the rows are not sorted.
        """
        if (rows[1:] < rows[:-1]).any():
            raise TrainingError(
                f"The rows of {len(rows)} pairs are not in ascending order.",
                expected="pairs sorted by their first member.",
                fix="sort the pairs, and their values alike.",
            )
        return cls(starts_of(rows, shape[0]), columns, shape[1])

    def __len__(self) -> int:
        return len(self.columns)

    @cached_property
    def numbers(self) -> torch.Tensor:
        """0 to n - 1."""
        return torch.arange(len(self), dtype=self.columns.dtype, device=self.columns.device)

    @cached_property
    def rows(self) -> torch.Tensor:
        """Row of each place, (n,)."""
        numbers = torch.arange(self.shape[0], dtype=self.columns.dtype, device=self.columns.device)
        return numbers.repeat_interleave(self.starts.diff(), output_size=len(self))

    @cached_property
    def transposed(self) -> tuple["CSR", torch.Tensor]:
        """The transpose, and the place here (n,) of each of its places."""
        order = torch.argsort(self.columns, stable=True)
        starts = starts_of(self.columns, self.shape[1])
        turned = CSR(starts, self.rows.index_select(0, order), self.shape[0])
        return turned, order.to(self.columns.dtype)


def index_type(limit: int) -> torch.dtype:
    """The smaller type of integers that can number `limit` things."""
    return torch.int32 if limit < torch.iinfo(torch.int32).max else torch.int64


def starts_of(rows: torch.Tensor, n_rows: int) -> torch.Tensor:
    """Where each row begins among sorted `rows` (n,): (n_rows + 1,)."""
    counts = torch.bincount(rows, minlength=n_rows)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
