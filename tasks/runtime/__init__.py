"""What every step shares: caching by content key, shards, progress, references, warm start.

Public: `step.step`, `sharded.sharded`, `references` (typed by what they hold),
`progress.progress`.
"""
