"""Who answers: a model, rules, or nobody (dry run).

Public: `base.Provider`, `base.Purpose`, `base.Request`, `model.ModelProvider`,
`rules.RulesProvider`, `dry_run.DryRunProvider`.
"""
