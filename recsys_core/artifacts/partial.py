"""Unfinished work of a step, kept beside the place where its artifact will land.

A step that takes hours notes how far it is. The notes survive a kill, the next attempt finds them
under the same content key, and `ArtifactWriter.commit` removes them.
"""

import logging
from typing import Final

import pyarrow.fs as pafs

from recsys_core.artifacts.filesystem import sweep
from recsys_core.errors import StorageError
from recsys_core.processes import temporary_name

FOLDER: Final = ".unfinished"

logger = logging.getLogger(__name__)


class Scratch:
    """A few named files, each of them complete or absent.

    Args:
        filesystem: where the artifact root is.
        artifact: path of the artifact's folder on it.
    """

    def __init__(self, filesystem: pafs.FileSystem, artifact: str) -> None:
        self._filesystem, self._folder = filesystem, f"{artifact}/{FOLDER}"
        self._asked = False

    def read(self, name: str) -> bytes | None:
        """The file `name`, or None where there is none.

        Raises:
            StorageError: it is there and cannot be read.
        """
        self._asked = True
        try:
            with self._filesystem.open_input_stream(f"{self._folder}/{name}") as stream:
                data: bytes = stream.read()
                return data
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"{self._folder}/{name} cannot be read: {error}") from error

    def write(self, name: str, data: bytes) -> None:
        """Put `data` in the place of the file `name`: a kill leaves the old one or the new one.

        Raises:
            StorageError: the store takes no more, or not from this user.
        """
        self._asked = True
        part = f"{self._folder}/{temporary_name(name)}"
        try:
            self._filesystem.create_dir(self._folder, recursive=True)
            sweep(self._filesystem, self._folder)
            with self._filesystem.open_output_stream(part) as stream:
                stream.write(data)
            self._filesystem.move(part, f"{self._folder}/{name}")
        except OSError as error:
            raise StorageError(f"Cannot write {self._folder}/{name}: {error}") from error

    def remove(self) -> None:
        """Remove all of it, also what a kill left half written; does nothing for a step without.

        What cannot be removed is logged and left: the artifact beside it is complete.
        """
        if not self._asked:
            return
        try:
            self._filesystem.delete_dir(self._folder)
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("unfinished work is left", extra={"place": self._folder, "why": error})
