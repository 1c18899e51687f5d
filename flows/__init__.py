"""The pipelines: one Prefect flow per stage, and `personalize`, the whole DAG.

Defaults for a machine where nothing is configured; anything already set in the environment wins.
They stand here because Prefect, DGL and OpenMP read them once, at import.
"""

import os
import warnings

# Said in words, and as an error, before a run starts (flows/command_line/watch.py).
warnings.filterwarnings("ignore", message="Failed to create the Prefect home directory")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# The temporary server of a run without PREFECT_API_URL takes long to start on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
# Its SQLite refuses what collides with another write, and the client then waits two seconds: let
# the services that record task runs and events write seldom. A server of one's own is not touched.
for _service in ("TASK_RUN_RECORDER", "EVENT_PERSISTER"):
    os.environ.setdefault(f"PREFECT_SERVER_SERVICES_{_service}_BATCH_SIZE", "200")
    os.environ.setdefault(f"PREFECT_SERVER_SERVICES_{_service}_FLUSH_INTERVAL", "30")
os.environ.setdefault("DGLBACKEND", "pytorch")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Threads that wait for each other by spinning halve the speed of training on a shared machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
