"""A command in a process and a session of its own, as a person starts it."""

import os
import signal
import subprocess
from pathlib import Path


class LocalProcess:
    """What was started, and where its words go.

    Attributes:
        process: leader of its session.
        said: file of what it wrote to its output and errors.
    """

    process: subprocess.Popen[bytes]
    said: Path

    def succeeds(self) -> None:
        """Wait for its end, with status 0."""
        assert self.process.wait(300) == 0, self.said.read_text()

    def kill(self) -> None:
        """End it and its children at once, if it is still there."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
