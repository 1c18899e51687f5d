"""The cache of answers, with leases between processes and the sums of the ledger.

Public: `answers.AnswerCache`, `database.cache_url`, `leases.Claim`.
"""
