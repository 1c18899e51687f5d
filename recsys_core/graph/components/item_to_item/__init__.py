"""Components that are item-to-item maps: a score is the history's row times a matrix.

Public: `component_table.COMPONENTS`, `component_table.Component`, `fit_data.FitData`.
"""
