"""What validation reports, and where in a file it is."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wildbench.errors import DatasetError, WildbenchError
from wildbench.files import read_bounded

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


def has_error(findings: Iterable[Finding]) -> bool:
    """Whether a file with these findings is refused."""
    return any(finding.severity == "error" for finding in findings)


def refuse(
    path: Path | str, findings: Iterable[Finding], error: type[WildbenchError] = DatasetError, hint: str = ""
) -> None:
    """Raise for the first error in a file, with its code and how many there are; do nothing where there is none.

    Example:
        >>> side = Finding("box-zero-side", "[3]", "bbox [1, 2, 0, 4]", "remove it")
        >>> refuse("p.json", [side, side])
        Traceback (most recent call last):
        ...
        wildbench.errors.DatasetError: p.json: [3]: bbox [1, 2, 0, 4] (the first of 2 errors); remove it
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    for first in errors[:1]:
        more = f" (the first of {len(errors)} errors)" if len(errors) > 1 else ""
        place = "" if first.place == WHOLE else f"{first.place}: "
        what = f"{path}: {place}{first.message}{more}"
        raise error(what, code=first.code, remedy=first.remedy + hint)


def lines(findings: Sequence[Finding]) -> list[str]:
    """One line for each code: its severity, its first place, how many more there are, and the remedy.

    Example:
        >>> lines([Finding("area-missing", f"annotations[{n}]", 'no "area"', 'add "area"', "warning") for n in (0, 1)])
        ['warning area-missing: annotations[0]: no "area" (and 1 more); add "area"']
    """
    shown = []
    for code in dict.fromkeys(finding.code for finding in findings):
        same = [finding for finding in findings if finding.code == code]
        first, more = same[0], f" (and {len(same) - 1} more)" if len(same) > 1 else ""
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


MOST_BYTES, MOST_OBJECTS = 2 << 30, 10_000_000
"""Of a file of labels: LVIS, among the largest, has 1.1 GB and 1.4 million objects."""

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_document(
    path: Path | str, most_bytes: int = MOST_BYTES, most_objects: int = MOST_OBJECTS
) -> tuple[Any, list[Finding]]:
    """Read a JSON file, whatever it holds; one too large is not parsed, for a list of `{}` takes 24 times its bytes.

    Returns:
        The parsed JSON, None where there is an error; and what is wrong with the file.

    Example:
        >>> read_document("no.json")
        (None, [Finding(code='file-unreadable', place='the file', message='No such file or directory', \
remedy='name a JSON file that can be read', severity='error')])
    """
    findings: list[Finding] = []
    try:
        data = read_bounded(path, most_bytes)
    except (OSError, ValueError) as error:  # a ValueError where the name has a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "name a JSON file that can be read"
        if isinstance(error, IsADirectoryError):
            remedy = f"name the COCO JSON in it, or make one: wildbench data import {path} --out DIR"
        return None, [Finding("file-unreadable", WHOLE, reason, remedy)]
    # compressed masks have brackets in their texts, one in 64 letters
    if data.count(b"{") > most_objects or data.count(b"[") > 2 * most_objects + len(data) // 32:
        message = f"more than {most_objects:,} objects, or twice as many lists"
        return None, [Finding("too-many-objects", WHOLE, message, "split it, or leave out what is not looked at")]
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entry = dict(pairs)
        if len(entry) < len(pairs):
            first = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
            twice.append(f'"{first}"' + (f" in the object of id {entry['id']}" if "id" in entry else ""))
        return entry

    try:
        document = json.loads(data, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        return None, [Finding("not-json", WHOLE, f"not JSON ({error})", "write it again; it may be cut short")]
    if data.startswith(_MARKS):
        message = "starts with a byte-order mark, or is not UTF-8: other readers refuse it"
        findings.append(Finding("json-encoding", WHOLE, message, "save it as UTF-8 without a mark", "warning"))
    if twice:
        more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
        message = f"the key {twice[0]} occurs twice{more}, and only the last counts"
        findings.append(Finding("json-key-duplicate", WHOLE, message, "keep one of the two"))
    return (None if twice else document), findings
