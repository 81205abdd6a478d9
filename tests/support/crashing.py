"""A disk that loses power: what a recording's directory may look like after a crash at any moment.

The recorder runs over real files while every file operation is noted, its beginning and its end. An image of a crash
is then made from the notes up to some moment:

    ended before it, and durable by its promise       is there
    a write that had begun                            any of its 512-byte sectors, in any combination
    a replacement that had begun                      the old file or the new one, and perhaps the temporary one
    names and sizes changed but not synced since      each is there or not

Which it is, a seed says.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from disruptor.journal.direct import DirectStorage
from disruptor.journal.layout import Bytes

SECTOR = 512


@dataclass
class Noted:
    """One operation: when it began and ended (None: never), counted in events."""

    kind: str
    name: str
    begun: int
    ended: int | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class NotingStorage(DirectStorage):
    """Does every operation and notes it. `fail_at`: the n-th operation (of a kind) raises that error instead."""

    def __init__(
        self, directory: Path, fail_at: int = -1, error: OSError | None = None, kind: str = ""
    ) -> None:
        super().__init__(directory)
        self.notes: list[Noted] = []
        self.events = self.operations = 0
        self._fail_at, self._error, self._kind = fail_at, error, kind
        self._names: dict[int, str] = {}
        self._guard = threading.Lock()

    @contextmanager
    def _noted(self, kind: str, name: str = "", **facts: Any) -> Iterator[None]:
        with self._guard:
            note = Noted(kind, name, self.events, None, facts)
            self.notes.append(note)
            self.events += 1
            counts = kind != "acknowledge" and self._kind in ("", kind)
            fails = self._error is not None and counts and self.operations == self._fail_at
            self.operations += counts
        if fails:
            assert self._error is not None
            raise self._error
        yield
        with self._guard:
            note.ended = self.events
            self.events += 1

    def acknowledge(self, sequence: int) -> None:
        """Everything before `sequence` was acknowledged now."""
        with self._noted("acknowledge", sequence=sequence):
            pass

    def prepare(self, name: str, size: int) -> None:
        with self._noted("prepare", name, size=size):
            super().prepare(name, size)

    def create(self, name: str, size: int) -> int:
        fd = super().create(name, size)
        self._names[fd] = name
        return fd

    def reopen(self, name: str) -> int | None:
        fd = super().reopen(name)
        if fd is not None:
            self._names[fd] = name
        return fd

    def write(self, fd: int, content: Bytes, offset: int) -> None:
        with self._noted("write", self._names[fd], offset=offset, content=content.tobytes()):
            super().write(fd, content, offset)

    def cut(self, fd: int, size: int) -> None:
        with self._noted("cut", self._names[fd], size=size):
            super().cut(fd, size)

    def sync(self, fd: int) -> None:
        with self._noted("sync", self._names[fd]):
            super().sync(fd)

    def replace(self, name: str, content: bytes) -> None:
        with self._noted("replace", name, content=content):
            super().replace(name, content)

    def remove(self, name: str) -> None:
        with self._noted("remove", name):
            super().remove(name)

    def acknowledged(self, moment: int) -> int:
        """The sequence up to which all was acknowledged before a moment."""
        sure = [n.facts["sequence"] for n in self.notes if n.kind == "acknowledge" and n.begun < moment]
        return max(sure, default=0)

    def image(self, moment: int, seed: int, directory: Path, *, before: Path | None = None) -> None:
        """Write what a crash at a moment may leave into an empty directory.

        before : what the directory held when this storage began
        """
        chance = random.Random(f"{seed} {moment}")
        files = {path.name: bytearray(path.read_bytes()) for path in before.iterdir()} if before else {}
        for note in self.notes:
            if note.begun < moment:
                done = note.ended is not None and note.ended < moment
                self._apply(files, note, done, chance, moment)
        for name, content in files.items():
            (directory / name).write_bytes(content)

    def _apply(
        self, files: dict[str, bytearray], note: Noted, done: bool, chance: random.Random, moment: int
    ) -> None:
        name, facts = note.name, note.facts
        if note.kind == "prepare" and (done or chance.random() < 0.5):
            whole = done or chance.random() < 0.5
            files[name] = bytearray(facts["size"] if whole else chance.randrange(facts["size"]))
        elif note.kind == "write":
            _write(files[name], facts["content"], facts["offset"], None if done else chance)
        elif note.kind == "cut" and (self._synced_since(note, moment) or chance.random() < 0.5):
            del files[name][facts["size"] :]
        elif note.kind == "remove" and (self._synced_since(note, moment) or chance.random() < 0.5):
            files.pop(name, None)
        elif note.kind == "replace":
            if done or chance.random() < 0.5:
                files[name] = bytearray(facts["content"])
            elif chance.random() < 0.5:
                files[name + ".tmp"] = bytearray(facts["content"][: chance.randrange(len(facts["content"]))])

    def _synced_since(self, note: Noted, moment: int) -> bool:
        """Whether something that makes a name or a size durable came after it, and ended in time."""
        kinds = ("sync",) if note.kind == "cut" else ("replace", "prepare")
        return note.ended is not None and any(
            other.kind in kinds
            and (other.name == note.name or note.kind == "remove")
            and other.begun > note.ended
            and other.ended is not None
            and other.ended < moment
            for other in self.notes
        )


def _write(file: bytearray, content: bytes, offset: int, chance: random.Random | None) -> None:
    """All of a write, or any of its sectors."""
    end = offset + len(content)
    file.extend(bytes(max(0, end - len(file))))
    kept = 1.0 if chance is None else chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    for at in range(0, len(content), SECTOR):
        if chance is None or chance.random() < kept:
            file[offset + at : offset + at + SECTOR] = content[at : at + SECTOR]
