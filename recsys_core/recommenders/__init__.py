"""Recommenders: one interface, the baselines behind it, and their tuning.

- `base`: `Recommender`, `MatrixRecommender`: what a recommender must do, also for new users;
- `methods`: `BASELINES`, `builders`: every baseline and its candidates;
- `tuning`, `cold_start_tuning`: the choice among candidates on validation.

Graph models of our own are in `recsys_core.graph`.
"""
