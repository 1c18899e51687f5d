"""Profiles by rules, without a model.

Public: `items.write_item_profile`, `users.refine_user_profile`.
"""
