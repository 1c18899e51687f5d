"""Attribution: which ratings, and what else, made a recommendation.

Public: `attribute.KnownUsers`, `kinds` (what a cause can be), `judgements`.
"""
