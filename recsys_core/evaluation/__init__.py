"""Offline evaluation of ranked lists.

- `metric_table`: `METRICS`: every metric, its label and where it is shown;
- `protocols`: `judge`, `evaluate`: accuracy of one method's lists, user by user and in the mean;
- `beyond_accuracy`: coverage, Gini, novelty, diversity;
- `cold_start`: held-out users and items; `cross_validation`: several folds;
- `significance`: bootstrap intervals and paired tests; `rankings`: checks of lists.
"""
