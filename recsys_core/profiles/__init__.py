"""Profiles of items and users in one schema: written by a provider, by rules, or read from a file.

`items.profile_items` and `users.profile_users` are the two steps; `evidence.select_evidence`
chooses what a user's profile is written from.
"""
