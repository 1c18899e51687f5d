"""What the sections of the report show: sentences, tables, lists of users.

Public: `verdict.verdict`, `causes.CausePart`, `since_last.SinceLast`, `user_lists.UserLists`.
"""
