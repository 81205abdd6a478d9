"""What is wrong with a journal, and where: one fact each, as a sentence and as fields."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes
    ----------
    what : a sentence without its place, with the expected and the actual value where there are two
    segment : file name; `offset` bytes into it; `frame` its number within the segment
    sequence : first one concerned; `last_sequence` the last, where a stretch is lost
    is_trace : whether this is how a writer's sudden end looks, and nothing that was acknowledged is concerned
    """

    what: str
    segment: str | None = None
    offset: int | None = None
    frame: int | None = None
    sequence: int | None = None
    last_sequence: int | None = None
    is_trace: bool = False

    def __str__(self) -> str:
        """The place and what is wrong there.

        >>> str(Problem("payload CRC32C differs", "0.dsj", 4096, 0, 7, 10))
        '0.dsj, offset 4096, frame 0, sequences 7 to 10: payload CRC32C differs'
        """
        place = [] if self.segment is None else [self.segment]
        place += [
            f"{name} {value}"
            for name, value in (("offset", self.offset), ("frame", self.frame))
            if value is not None
        ]
        if self.last_sequence is not None and self.last_sequence != self.sequence:
            place.append(f"sequences {self.sequence} to {self.last_sequence}")
        elif self.sequence is not None:
            place.append(f"sequence {self.sequence}")
        return f"{', '.join(place)}: {self.what}" if place else self.what

    def to_json(self) -> dict[str, Any]:
        """The fields that are known."""
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        if not fields.pop("is_trace"):
            return fields
        return {**fields, "is_trace": True}
