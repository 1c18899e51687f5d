"""Politeness to servers: rate limits and backoff.

Public: `rate_limit.shared_limit`, `rate_limit.Pace`, `backoff.backoff`, `backoff.retry_after`.
"""
