"""Where data come from: files and tables in every form, downloads, the published MovieLens.

Public: `tables.Table`, `files.Files`, `aliases.resolved`, `discovery.by_columns`,
`download.download`.
"""
