"""Files of labels beside a network: one name a line, as TensorFlow Lite's and Darknet's tools keep them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from wildbench.submissions.readers._reader import Described, Words

USUAL = ("labels.txt", "labelmap.txt", "classes.txt", "obj.names")


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """The categories; None where no such file is there. "0 zebra" and "zebra,0" are read as zebra."""
    if "categories" in draft:
        return None
    stem = PurePosixPath(described.source.main).stem
    for name in (f"{stem}.txt", f"{stem}.names", *USUAL):
        inside, beside = described.metadata.get(name), described.beside(name)  # TFLite files carry a zip of them
        text = inside or (beside or b"").decode(errors="replace")
        if text:
            lines = text.strip().splitlines()
            return Words(
                {"categories": [_name(number, line) for number, line in enumerate(lines)]}, f"names from {name}"
            )
    return None


def _name(number: int, line: str) -> str:
    """A line without the number that some tools put before or after the name."""
    line = line.strip()
    for pattern in (f"{number} ", f"{number}:", f"{number},"):
        line = line.removeprefix(pattern)
    return line.removesuffix(f",{number}").strip().strip('"') or "N/A"
