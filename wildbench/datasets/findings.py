"""What validation reports, and where in a file it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Entry = dict[str, Any]
Placed = tuple[str, Entry]
"""An entry of a COCO section with its place, such as `annotations[17] (id 42)`."""


WHOLE = "the file"
"""Place of what concerns a file as a whole."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or odd, in a file of labels or of detections.

    Attributes:
        code: Stable name of the rule, such as `box-negative-side`; docs/findings.md lists them.
        place: Where in the file, such as `annotations[17] (id 42)`.
        message: What is wrong there.
        remedy: What to do about it.
        severity: An error makes every number from the file doubtful, so that the file is refused; a warning is very
            likely a mistake; a note is true and may be meant so.
    """

    code: str
    place: str
    message: str
    remedy: str
    severity: Literal["error", "warning", "note"] = "error"


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


def refusal(path: Path, findings: Iterable[Finding]) -> tuple[str, str] | None:
    """What is wrong with a file in one line, by its first error, and the remedy; None where there is no error.

    Example:
        >>> error = Finding("box-zero-side", "[3]", "bbox [1, 2, 0, 4]", "remove it")
        >>> refusal(Path("p.json"), [error, error])
        ('p.json: [3]: bbox [1, 2, 0, 4] [box-zero-side, the first of 2 errors]', 'remove it')
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if not errors:
        return None
    first = errors[0]
    more = f", the first of {len(errors)} errors" if len(errors) > 1 else ""
    place = "" if first.place == WHOLE else f"{first.place}: "
    return f"{path}: {place}{first.message} [{first.code}{more}]", first.remedy


def lines(findings: Sequence[Finding]) -> list[str]:
    """A line a code: its severity, its first place, how many more there are, and the remedy.

    Example:
        >>> lines([Finding("area-missing", f"annotations[{n}]", 'no "area"', 'add "area"', "warning") for n in (0, 1)])
        ['warning area-missing: annotations[0]: no "area" (and 1 more); add "area"']
    """
    shown = []
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        more = f" (and {len(same) - 1} more)" if len(same) > 1 else ""
        first = same[0]
        shown.append(f"{first.severity} {code}: {first.place}: {first.message}{more}; {first.remedy}")
    return shown


def off_by_one(used: set[int], known: set[int]) -> str:
    """Say where ids that are not known would all be known one higher or one lower; nothing where they would not.

    Example:
        >>> off_by_one({0, 1}, {1, 2}), off_by_one({2, 3}, {1, 2}), off_by_one({0, 7}, {1, 2})
        (': all ids are one too low', ': all ids are one too high', '')
    """
    for step, word in ((1, "low"), (-1, "high")):
        if used - known and {value + step for value in used} <= known:
            return f": all ids are one too {word}"
    return ""
