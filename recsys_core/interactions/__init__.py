"""What several packages need of ratings: what is liked, lookups, sampling, top-k.

Public: `feedback.RatingScale`, `feedback.is_liked`, `lookup.aligned`, `topk.ranked_lists`.
"""
