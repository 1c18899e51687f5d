"""Which components stand in the sum: their settings and weights, chosen on validation.

Public: `search.search_components`, `search_result.ComponentSearch`, `refit.refit_from`,
`grid_search.ChosenSettings`.
"""
