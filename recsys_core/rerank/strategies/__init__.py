"""How candidates are judged: a module per strategy, one table.

Public: `registry.STRATEGIES`, `registry.make_strategy`, `base`.
"""
