"""The parts of `flows/reproduce_paper.py`: folds, choices, cold start.

Public: `folds.prepare_folds`, `folds.measure`, `folds.rank`, `cold_start.measure_cold`.
"""
