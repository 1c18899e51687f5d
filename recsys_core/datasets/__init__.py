"""Data sets: readers, the contract they are checked against, and their splits.

`load.load_dataset` reads any source; `splits.split_interactions` divides its interactions.
"""
