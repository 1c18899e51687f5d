"""One module per step of the pipeline: Prefect tasks, each a few lines around `recsys_core`."""
