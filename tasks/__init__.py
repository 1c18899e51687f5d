"""One module per step of the pipeline: Prefect tasks, each a few lines around `recsys_core`.

Names: a module's step has the module's name (`train.train`).
"""
