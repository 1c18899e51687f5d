"""Small files that a user names: read whole, within a bound, and only where they are plain files.

A pipe would be waited for without end, a device has none, and a large file named by mistake would
fill the memory.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 16 * 2**20
"""Of a configuration or a list of ids: a million ids take half of it."""


def read_small_text(path: str | Path) -> str:
    """The text of a plain file of at most `MOST_BYTES`, in UTF-8; `~` is the home folder.

    Raises:
        OSError: there is none, it is no plain file, or it is longer.
        ValueError: it is no UTF-8.
    """
    place = Path(path).expanduser()
    # Not to wait for whoever writes into a pipe; plain files know no waiting.
    handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as stream:
        kind = os.fstat(handle).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
        if not stat.S_ISREG(kind):
            raise OSError(errno.EINVAL, "it is a pipe or a device, and no plain file", str(place))
        return checked(stream.read(MOST_BYTES + 1), str(place))


def checked(data: bytes, place: str) -> str:
    """`data` as text, where it is no longer than `MOST_BYTES`.

    Raises:
        OSError: it is longer.
        ValueError: it is no UTF-8.
    """
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MOST_BYTES >> 20} MiB", place)
    return data.decode("utf-8")
