"""Data sets: readers of MovieLens and of the generic contract, their checks, their splits.

`load.load_dataset` is the one door; `splits.split_interactions` divides what came through it.
"""
