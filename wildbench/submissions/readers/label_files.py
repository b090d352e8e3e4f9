"""Files of labels beside a network, as TensorFlow's, Darknet's and YOLO's tools keep them, or in its metadata."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from wildbench.submissions.manifest import names_something
from wildbench.submissions.readers._reader import MOST_CHARACTERS, Described, Words, in_order, plain_data

LINES = ("labels.txt", "labelmap.txt", "classes.txt", "obj.names")
TRAINED = ("data.yaml", "dataset.yaml")
"""The file that describes a data set to Ultralytics and YOLOv5."""
ITEMS = ("label_map.pbtxt", "labelmap.pbtxt")
"""TensorFlow's Object Detection API: numbers from 1."""


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """The categories; None where no such file is there."""
    if "categories" in draft:
        return None
    named = next((named for named in (*_in_metadata(described), *_beside(described)) if named[1]), None)
    return Words({"categories": named[1]}, f"names from {named[0]}") if named else None


def _in_metadata(described: Described) -> Iterator[tuple[str, list[str]]]:
    for key in KEYS:
        yield f"the file's metadata ({key})", in_order(_literal(described.metadata.get(key, "")))


def _beside(described: Described) -> Iterator[tuple[str, list[str]]]:
    stem = PurePosixPath(described.source.main).stem
    for name in (f"{stem}.txt", f"{stem}.names", *LINES):
        inside, beside = described.metadata.get(name), described.beside(name)  # TFLite files carry a zip of them
        yield name, _lines(inside or (beside or b"").decode(errors="replace"), described.format.name)
    for name in TRAINED:
        yield name, in_order(plain_data(described.source, name, described.beside(name) or b"").get("names") or [])
    for name in ITEMS:
        text = (described.beside(name) or b"").decode(errors="replace")
        items = [item.partition("}")[0] for item in re.split(r"\bitem\s*\{", text)[1:]]
        yield name, in_order({int(_last(NUMBER, item)) - 1: _last(NAME, item) for item in items})


def _lines(text: str, format: str) -> list[str]:
    """One name a line; "0 zebra" and "zebra,0" are read as zebra."""
    names = [_name(number, line) for number, line in enumerate(text.strip().splitlines())]
    background = names and format == "litert" and not names_something(names[0])
    return names[1:] if background else names  # which TensorFlow Lite's classes do not count


KEYS = ("names", "class_names", "classes", "labels", "id2label")
"""Under which people keep names in a file's metadata."""

NUMBER, NAME = r"\bid\s*:\s*(\d+)", r"\b(?:display_name|name)\s*:\s*[\"'](.*?)[\"']"


def _last(pattern: str, item: str) -> str:
    return str((re.findall(pattern, item) or [""])[-1])


def _literal(text: str) -> Any:  # noqa: ANN401 - plain data
    """JSON, Python's notation, or names with commas between them; nothing of a number alone."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"{len(text):,} characters")
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError):
            parsed = parse(text)
            if isinstance(parsed, list | tuple | Mapping):
                return parsed
    names = [name.strip() for name in re.split(r"[,;\n]", text.strip())]
    return [] if len(names) == 1 and not names[0].isalpha() else names


def _name(number: int, line: str) -> str:
    """A line without the number that some tools put before or after the name."""
    line = line.strip()
    for pattern in (f"{number} ", f"{number}:", f"{number},"):
        line = line.removeprefix(pattern)
    return line.removesuffix(f",{number}").strip().strip('"') or "N/A"
