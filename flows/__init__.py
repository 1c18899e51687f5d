"""The pipelines: one Prefect flow per stage, and `personalize`, the whole DAG.

Defaults for a machine where nothing is configured; anything already set in the environment wins.
They stand here because Prefect and DGL read them once, at import.
"""

import os

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The temporary server of a run without PREFECT_API_URL takes long to start on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
os.environ.setdefault("DGLBACKEND", "pytorch")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
