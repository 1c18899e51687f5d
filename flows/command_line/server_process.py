"""The temporary Prefect server as a process that ends with the run that started it.

    python -P server_process.py PARENT UVICORN-ARGUMENTS...

It is in a session of its own, so that Ctrl-C in a terminal reaches the run and not the server;
and it looks for its parent twice a second, so that it ends however the parent ended (kill -9, too).
"""

import os
import runpy
import signal
import sys
import threading
import time

LOOK_S = 0.5
GRACE_S = 2.0


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_watch, args=(int(sys.argv[1]),), daemon=True).start()
    sys.argv = ["uvicorn", *sys.argv[2:]]
    runpy.run_module("uvicorn", run_name="__main__")
