"""Where data come from: files and tables in every form, downloads, the published MovieLens."""
