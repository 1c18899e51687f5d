"""Politeness to servers (rate limits and backoff), and caution: bounds of what is read of them.

Public: `rate_limit.shared_limit`, `rate_limit.Pace`, `backoff.backoff`, `backoff.retry_after`,
`bounded.bound`.
"""
