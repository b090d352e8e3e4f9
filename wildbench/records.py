"""Records that carry the version of their format: current and older ones are read, newer ones refused."""

from __future__ import annotations

import errno
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from wildbench.errors import WildbenchError, first_problem
from wildbench.files import read_bounded

Model = TypeVar("Model", bound=BaseModel)


MOST_BYTES = 64 << 20
"""Of a record."""

MOST_SETTINGS, MOST_TOML = 1 << 18, 1 << 15
"""Bytes of a document that people write, in YAML or TOML; a dotted key takes time by its square."""

MOST_VALUES, MOST_DEPTH = 1_000_000, 100
"""Of such a document, each value counted as often as it is referred to."""

TEXT = 64
"""Characters of a text that count as one more value."""


def plain_yaml(text: str | bytes) -> object:
    """Parse YAML of a bounded number of values; a ValueError where it is none, or refers to itself too often.

    Example:
        >>> plain_yaml("names: [lion]"), plain_yaml("&a [*a]")
        Traceback (most recent call last):
        ValueError: nested too deeply, or in itself
    """
    import yaml

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        merged = 0

        def flatten_mapping(self, node: Any) -> None:  # noqa: ANN401 - of a library without types
            super().flatten_mapping(node)
            self.merged += len(node.value)
            if self.merged > MOST_VALUES:
                raise ValueError(f"more than {MOST_VALUES:,} values")

        def construct_yaml_int(self, node: Any) -> int:  # noqa: ANN401
            if len(node.value) > 100:  # in base 60, digits take time by their square
                raise ValueError(f"a number of {len(node.value)} digits")
            return int(super().construct_yaml_int(node))

    Loader.add_constructor("tag:yaml.org,2002:int", Loader.construct_yaml_int)
    try:
        document = yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError, ArithmeticError) as error:
        raise ValueError(str(error) or "nested too deeply") from None
    check_values(document)
    return document


def plain_toml(path: Path | str) -> dict[str, Any]:
    """Parse a TOML file; a ValueError where it is none, an OSError where it cannot be read or is too large."""
    try:
        document = tomllib.loads(read_bounded(path, MOST_TOML).decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    check_values(document)
    return document


def check_values(document: object, most: int = MOST_VALUES) -> None:
    """Raise a ValueError for a document with very many values, nested very deeply, or one that holds itself.

    A long text counts as several values.
    """
    level, seen = [document], 0
    for _ in range(MOST_DEPTH):
        below: list[object] = []
        for value in level:
            if isinstance(value, Mapping):
                below += [*value, *value.values()]
            elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
                below += value
            elif isinstance(value, str | bytes):
                seen += len(value) // TEXT
            if seen + len(below) > most:
                raise ValueError(f"more than {most:,} values")
        if not below:
            return
        level, seen = below, seen + len(below)
    raise ValueError("nested too deeply, or in itself")


def parsed(stored: bytes) -> object:
    """Parse JSON by the fast parser, or by `json` what that refuses, such as half of a surrogate pair.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    try:
        return from_json(stored, cache_strings="keys")
    except ValueError:
        return json.loads(stored.decode("utf-8"))


def read_json(
    path: Path,
    *,
    error: type[WildbenchError],
    again: str,
    missing: tuple[str, str] = ("unreadable", "check the path"),
    most: int = MOST_BYTES,
) -> object:
    """Parse a JSON file.

    Args:
        path: The file.
        error: What to raise.
        again: How to get a good one, where it is not JSON.
        missing: Code and remedy where it cannot be read.
        most: Bytes that it may have.

    Raises:
        WildbenchError: `unreadable`, `too-large`, or `not-json`.
    """
    try:
        return parsed(read_bounded(path, most))
    except OSError as problem:
        if problem.errno == errno.EFBIG:
            raise error(f"{path}: {problem.strerror}", code="too-large", remedy=again) from None
        code, remedy = missing
        raise error(f"{path}: cannot be read ({problem.strerror})", code=code, remedy=remedy) from None
    except (ValueError, RecursionError):
        raise error(f"{path}: not JSON, or cut short", code="not-json", remedy=again) from None


def read_version(
    raw: object,
    model: type[Model],
    newest: int,
    *,
    path: Path,
    error: type[WildbenchError],
    no_record: tuple[str, str],
    again: str,
    strict: bool | None = None,
) -> Model:
    """Make a record of what a JSON file holds.

    Args:
        raw: The parsed JSON.
        model: The record's class.
        newest: The version of the format that this wildbench writes.
        path: The file, for the messages.
        error: What to raise.
        no_record: What the file is not, and what to give instead, where it has no version.
        again: How to get a good one, where it is damaged.
        strict: Whether to refuse values that would have to be converted.

    Raises:
        WildbenchError: `no-format-version`, `newer-format` or `damaged`.

    Example:
        >>> class Note(BaseModel):
        ...     format_version: int = 1
        ...     text: str
        >>> options = {"path": Path("n.json"), "error": WildbenchError, "no_record": ("not a note", ""), "again": ""}
        >>> read_version({"format_version": 1, "text": "lion"}, Note, 1, **options).text
        'lion'
        >>> read_version({"format_version": 2, "text": "lion"}, Note, 1, **options)
        Traceback (most recent call last):
        wildbench.errors.WildbenchError: n.json: format version 2 is newer than the 1 that this wildbench reads; \
upgrade wildbench
    """
    version = raw.get("format_version") if isinstance(raw, dict) else None
    if type(version) is not int or version < 1:
        raise error(f"{path}: {no_record[0]} (no format_version)", code="no-format-version", remedy=no_record[1])
    if version > newest:
        raise error(
            f"{path}: format version {version} is newer than the {newest} that this wildbench reads",
            code="newer-format",
            remedy="upgrade wildbench",
        )
    try:
        return model.model_validate(raw, strict=strict)
    except ValidationError as problem:
        raise error(f"{path}: {first_problem(problem)}", code="damaged", remedy=again) from None
