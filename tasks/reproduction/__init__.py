"""The steps of the reproduction of the paper.

Public: `baseline.baseline`, `cold_start.cold_start`, `method_metrics.method_metrics`,
`report.report`.
"""
