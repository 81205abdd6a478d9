"""Makes the files of a recording ahead of need, on a thread of its own, so that no write waits for one."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from disruptor.journal.direct import DirectStorage
from disruptor.journal.storage import reported


class FilesAhead:
    """Prepares files of one storage, one after the other."""

    def __init__(self, storage: DirectStorage) -> None:
        self._storage = storage
        self._helper = ThreadPoolExecutor(1, "journal-prepare")
        self._preparing: dict[str, Future[None]] = {}

    def prepare(self, name: str, size: int) -> None:
        """Begin to make a file, unless that was begun."""
        if name not in self._preparing:
            self._preparing[name] = self._helper.submit(self._storage.prepare, name, size)

    def have(self, name: str, size: int, *, hurry: bool = True) -> None:
        """Make a file unless it is there, and wait for it; with `hurry`, without zeros that are not written yet.

        Raises
        ------
        JournalError : it can't be made, perhaps for want of space; the next call tries again.
        """
        self.prepare(name, size)
        if hurry:
            self._storage.hurry(name)
        with reported(self._storage.path(name), f"reserving {size} bytes"):
            try:
                self._preparing[name].result()
            except BaseException:
                del self._preparing[name]
                raise

    def stop(self) -> None:
        """Make no more files, once the present one is there."""
        for name in self._preparing:
            self._storage.hurry(name)
        self._helper.shutdown(wait=True, cancel_futures=True)

    def drop(self) -> None:
        """Remove what was made and not used. After `stop`."""
        with suppress(OSError):
            self._storage.drop_prepared()
