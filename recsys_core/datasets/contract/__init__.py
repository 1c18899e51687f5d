"""The contract of a data set: casts, policies and checks; `validate` is its face."""

from recsys_core.datasets.contract.dataset import Dataset, RawDataset, no_table
from recsys_core.datasets.contract.policies import Rated
from recsys_core.datasets.contract.validation import (
    validate,
    validate_interactions,
    validate_items,
    validate_users,
)

__all__ = [
    "Dataset", "Rated", "RawDataset", "no_table", "validate", "validate_interactions",
    "validate_items", "validate_users",
]  # fmt: skip
