"""Sending requests: attempts, dialects of the schema, limits, single flight.

Public: `executor.Executor`, `rate_limits.Limits`.
"""
