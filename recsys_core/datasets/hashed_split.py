"""A split by hash: the part of an interaction is a function of its user, its item and the seed.

Rows that are added or removed later move no other user's rows, and of the user's own only where
the guarantee of one training row needs it. A position in a file or a shuffle has neither property.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.columns import ITEM, USER

Mask = npt.NDArray[np.bool_]
_Codes = npt.NDArray[np.int64]
_Hashes = npt.NDArray[np.uint64]

# SplitMix64 (Steele, Lea and Flood 2014): adjacent inputs give independent outputs.
_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


@dataclass(frozen=True, kw_only=True, eq=False)
class HashedParts:
    """Which rows are held out; the rest is for training.

    Attributes:
        valid: rows for validation.
        test: rows for the test.
    """

    valid: Mask
    test: Mask


def hashed_parts(
    interactions: pl.DataFrame,
    *,
    fold: int,
    folds: int,
    valid_share: float,
    seed: int,
    test: Mask | None = None,
) -> HashedParts:
    """Test rows of a fold and validation rows, by hash.

    A row is in the test part of exactly one fold, unless it is the last one that its user has for
    training. Validation is drawn anew for each fold.

    Args:
        interactions: a row per pair of user and item.
        fold: number of the fold, from 1.
        folds: how many there are.
        valid_share: share of the rows outside of the test part that validate.
        seed: of the hash.
        test: a test part that is given, such as an official fold; it stays as it is.
    """
    users, items = (_Ids.of(interactions[name]) for name in (USER, ITEM))
    pairs = _mixed(_mixed(users.hashes) + items.hashes)
    in_test = _in_fold(pairs, fold, folds, seed) if test is None else test
    in_valid = ~in_test & (_uniform(pairs, f"valid {fold}", seed) < valid_share)
    spare = _without_training(users.codes, in_valid | in_test)
    if test is not None:  # a given test part stays: what there is to give back is of validation
        spare &= in_valid
    kept = _one_per_user(users.codes, spare, in_test, _uniform(pairs, "train", seed))
    return HashedParts(valid=in_valid & ~kept, test=in_test & ~kept)


def _in_fold(pairs: _Hashes, fold: int, folds: int, seed: int) -> Mask:
    found: Mask = np.floor(_uniform(pairs, "test", seed) * folds) == fold - 1
    return found


def _without_training(users: _Codes, held_out: Mask) -> Mask:
    """Rows of users all of whose rows are held out."""
    training = np.bincount(users, weights=~held_out)
    found: Mask = training[users] == 0
    return found


def _one_per_user(users: _Codes, rows: Mask, last: Mask, order: npt.NDArray[np.float64]) -> Mask:
    """The first of `rows` of every user, by `order`, those that are `last` after the others."""
    at = np.flatnonzero(rows)
    at = at[np.lexsort((order[at], last[at]))]
    _, first = np.unique(users[at], return_index=True)
    found = np.zeros(users.size, dtype=np.bool_)
    found[at[first]] = True
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ids:
    """A column of ids as numbers from 0, in any order, and as hashes: the same for any type."""

    codes: _Codes
    hashes: _Hashes

    @classmethod
    def of(cls, ids: pl.Series) -> "_Ids":
        # By hash tables: ranks would sort every row.
        distinct = ids.unique().alias("id")
        numbered = distinct.to_frame().with_columns(code=pl.int_range(pl.len(), dtype=pl.Int64))
        rows = ids.alias("id").to_frame().join(numbered, on="id", how="left", maintain_order="left")
        hashes = np.array([_hash(str(one)) for one in distinct], dtype=np.uint64)
        codes = rows["code"].to_numpy()
        return cls(codes=codes, hashes=hashes[codes])


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _uniform(pairs: _Hashes, purpose: str, seed: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) per row, independent for each purpose and seed."""
    mixed = _mixed(pairs ^ np.uint64(_hash(f"{purpose} {seed}")))
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(values: _Hashes) -> _Hashes:
    with np.errstate(over="ignore"):
        values = values + _GAMMA
        for shift, factor in _MIX:  # in place: there may be tens of millions
            values ^= values >> np.uint64(shift)
            values *= factor
        values ^= values >> np.uint64(31)
        return values
