"""Texts of the length of real profiles (about 200 tokens), made here."""

import numpy as np

_WORDS = """
quiet detective returns home after war family secret murder city night love betrayal young
teacher saves town from corrupt mayor while ghost of past haunts journey across desert friends
learn courage hope humour sharp dialogue classic drama thriller romance future machine rebels
"""


def profile_texts(count: int, words: int = 150, seed: int = 0) -> list[str]:
    """`count` texts whose lengths vary around `words` words."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(words // 2, words + words // 2, count)
    return [" ".join(rng.choice(_WORDS.split(), length)) + "." for length in lengths]
