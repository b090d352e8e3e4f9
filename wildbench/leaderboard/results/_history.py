"""The history of a leaderboard: a hash chain, an entry a line, so that removing or reordering results shows.

Each entry holds the hash of the line before it, as in a transparency log. Whoever noted the hash of one entry can tell
later whether the history up to it is still the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from wildbench.errors import ScorecardError, first_problem
from wildbench.files import write_atomically
from wildbench.scorecard import Record

START = "0" * 64
"""Stands for the entry before the first."""


class Entry(Record):
    """One result that was added."""

    id: str = Field(description="Folder of the result.", pattern=r"^[a-z0-9][a-z0-9-]*$")
    card_sha256: str
    predictions_sha256: str = Field(description="Of the detections as JSON, before compression.")
    samples_sha256: str = Field(description="Of the AP on resampled images.")
    previous: str = Field(description="Hash of the entry before.")

    def line(self) -> str:
        """The entry as it stands in the file, without the end of the line."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @property
    def hash(self) -> str:
        """SHA-256 of the line: what the next entry holds."""
        return hashlib.sha256(self.line().encode()).hexdigest()


def read_chain(path: Path) -> list[Entry]:
    """Read all entries, whether or not they follow from each other; none where there is no file.

    Raises:
        ScorecardError: A line is no entry, or not to the byte as it was written; or the file cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ScorecardError(f"{path}: cannot be read ({error.strerror})", remedy=_RESTORE) from None
    return [_read_line(line, f"{path}: line {number}") for number, line in enumerate(lines, start=1)]


def _read_line(line: bytes, place: str) -> Entry:
    try:
        entry = Entry.model_validate(json.loads(line))
    except ValidationError as error:
        raise ScorecardError(f"{place}: {first_problem(error)}", remedy=_RESTORE) from None
    except (ValueError, RecursionError):
        raise ScorecardError(f"{place}: not JSON, or cut short", remedy=_RESTORE) from None
    if line != f"{entry.line()}\n".encode():
        raise ScorecardError(f"{place}: edited: not as wildbench writes it", remedy=_RESTORE)
    return entry


def write_chain(path: Path, entries: Sequence[Entry]) -> None:
    """Write the whole chain, or nothing."""
    write_atomically(path, "".join(f"{entry.line()}\n" for entry in entries).encode())


def head(entries: Sequence[Entry]) -> str:
    """Hash of the last entry, which stands for all before it."""
    return entries[-1].hash if entries else START


def breaks(entries: Sequence[Entry], known: str | None = None) -> list[str]:
    """What is wrong with a history, a line each.

    Args:
        entries: In the order of the file.
        known: Hash of an entry, noted earlier: it has to be in the history still.

    Example:
        >>> one = Entry(id="a", card_sha256="", predictions_sha256="", samples_sha256="", previous=START)
        >>> two = Entry(id="b", card_sha256="", predictions_sha256="", samples_sha256="", previous=one.hash)
        >>> breaks([one, two], known=one.hash), len(breaks([two])), len(breaks([one], known=two.hash))
        ([], 1, 1)
    """
    found = []
    for number, entry in enumerate(entries, start=1):
        if entry.previous != head(entries[: number - 1]):
            before = f"entry {number - 1} ({entries[number - 2].id})" if number > 1 else "the start"
            found.append(
                f"chain: entry {number} ({entry.id}) does not follow from {before}: "
                "an entry was removed, reordered or edited"
            )
    if known not in (None, START, *(entry.hash for entry in entries)):
        found.append(
            f"chain: no entry has the hash {known}: history was removed, reordered or edited since it was noted"
        )
    return found


_RESTORE = "restore the file from version control"
