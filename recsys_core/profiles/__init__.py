"""Profiles of items and users in one schema: written by a provider, by rules, or read from a file.

`items.profile_items` and `users.profile_users` write them; `history_selection.select_history`
chooses the rated items that a user's profile is written from.
"""
