"""Vectors of users and items after training: saved, folded in, with and without a rating.

Public: `saved_model`, `fold_in.FittedModel`, `user_placing.UserPlacing`,
`counterfactual.Counterfactuals`.
"""
