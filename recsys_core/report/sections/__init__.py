"""What the sections of the report show: sentences, tables, lists of users."""
