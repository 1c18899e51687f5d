"""What several prompts show: taste, recent items, facts of an item.

Public: `models.UserContext`, `models.Candidate`, `tables.item_facts`, `tables.recent`.
"""
