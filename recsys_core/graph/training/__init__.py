"""Training: search on validation, fit on all rows, warm start.

Public: `trainer.train`, `spec.TrainingSpec`, `score_sum.ScoreSum`, `phases.Earlier`.
"""
