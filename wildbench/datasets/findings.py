"""What validation reports, and where in a file it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Entry = dict[str, Any]
Placed = tuple[str, Entry]
"""An entry of a COCO section with its place, such as `annotations[17] (id 42)`."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or odd, in a COCO file.

    Attributes:
        code: Stable name of the rule, such as `box-negative-side`.
        place: Where in the file, such as `annotations[17] (id 42)`.
        message: What is wrong there.
        remedy: What to do about it.
        severity: An error makes every number from the file doubtful, and `read_coco` refuses it; a warning does not.
    """

    code: str
    place: str
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"


def place_of(section: str, index: int, entry: object) -> str:
    """Name an entry's place by its section, its index from 0, and its id where it has one.

    Example:
        >>> place_of("images", 0, {"id": 7})
        'images[0] (id 7)'
    """
    return f"{section}[{index}]" + (f" (id {entry['id']})" if isinstance(entry, dict) and "id" in entry else "")


def repeated(entries: Sequence[Placed], key: str) -> list[tuple[str, Any, str]]:
    """Find entries whose `key` an earlier entry has already: place, value, place of the first."""
    first: dict[Any, str] = {}
    found = []
    for place, entry in entries:
        if entry[key] in first:
            found.append((place, entry[key], first[entry[key]]))
        first.setdefault(entry[key], place)
    return found
