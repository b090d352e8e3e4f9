"""What a reader is, and the manifest that all readers together make of one file.

A reader is a function that knows one way in which tools describe their detectors. It is the one thing to write, and to
register, for wildbench to take the files of another tool without a manifest:

    [project.entry-points."wildbench.readers"]
    my-tool = "my_package.reader:read"
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from wildbench.plugins import readers
from wildbench.records import check_values, plain_yaml
from wildbench.submissions.formats import Format, Port, Signature
from wildbench.submissions.manifest import Manifest, manifest_path, parse_manifest
from wildbench.submissions.source import Source

NEEDED = ("categories", "input", "output")
"""Parts of a manifest without which nothing can be measured."""

MOST_CHARACTERS = 2**20
MOST_VALUES = 2**17
"""Of a document that describes a network; YAML can name one list very many times."""

MOST_CATEGORIES = 2**14

DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError)
"""What is raised where a number, a list or a name stands in a document in place of another of them."""


@dataclass(frozen=True)
class Described:
    """What readers read: a file's metadata, its network's signature, and the files that lie beside it."""

    source: Source
    format: Format
    signature: Signature | None

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What the tool wrote into the file."""
        return self.format.metadata(self.source)

    def beside(self, name: str) -> bytes | None:
        """A file in the same folder; None where there is none."""
        return self.source.beside(name)


@dataclass(frozen=True)
class Words:
    """What one reader found.

    Attributes:
        draft: Parts of a manifest, as plain data: some of "name", "detector", "categories", "input", "output", ...
            None, an empty text and an empty list say nothing.
        where: What was read from where, for people: "names, size and stride from metadata_props (Ultralytics)".
    """

    draft: dict[str, Any]
    where: str


Reader = Callable[[Described, Mapping[str, Any]], Words | None]
"""What a tool says about a file, given what the readers before it have said; None where the file is not this tool's.

It raises a SubmissionError where the file is this tool's, and is damaged, or no detector.
"""


@dataclass(frozen=True)
class Reading:
    """What all readers together say.

    Attributes:
        draft: Parts of a manifest, as plain data; "name" and "detector", by the file's name if need be.
        where: What was read from where; empty where nothing was.
        signature: Of the network, for messages.
    """

    draft: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    signature: Signature | None = None

    @property
    def missing(self) -> list[str]:
        """Parts of a manifest that nothing in the file tells."""
        return [part for part in NEEDED if part not in self.draft]

    @property
    def origin(self) -> str:
        """In one line."""
        return f"manifest: read from the file: {self.where}"

    def manifest(self, source: Source) -> Manifest:
        """The manifest.

        Raises:
            SubmissionError: `no-manifest`: nothing in the file tells the categories, or what its output means.
        """
        if not self.missing:
            return parse_manifest(self.draft, str(source.path))
        outside = manifest_path(source.path)
        remedy = f"wildbench inspect {source.path.name} --write-manifest makes {outside.name}, to be completed"
        if self.signature:
            remedy += f"; the outputs are {', '.join(map(_shown, self.signature.outputs))}"
        problem = f"no manifest inside or beside it, and nothing in it tells its {' and '.join(self.missing)}"
        raise source.error(problem, code="no-manifest", remedy=remedy)


def _shown(port: Port) -> str:
    sides = ("free" if side is None else str(side) for side in port.shape)
    return f"{port.name} {port.dtype} [{', '.join(sides)}]"


def read_manifest(
    source: Source, format: Format, signature: Signature | None, stated: Mapping[str, Any] | None = None
) -> Reading:
    """Ask every registered reader; the first that knows a part has said it.

    Args:
        source: The file.
        format: Its format.
        signature: Its network's inputs and outputs.
        stated: A manifest that a person has written: the number of its categories tells some outputs apart, and what
            it says of the input, no custom of a tool contradicts.

    Raises:
        SubmissionError: A reader knows the file, and it is not a detector; or what it says is damaged.
    """
    described = Described(source, format, signature)
    draft: dict[str, Any] = {}
    kinds = {"categories": list, "input": dict}
    known = {key: stated[key] for key, kind in kinds.items() if stated and isinstance(stated.get(key), kind)}
    places = []
    for name, reader in readers.all().items():
        try:
            words: Words | None = reader(described, known | draft)
            said = json.loads(json.dumps(words.draft)) if words else {}
            said = {key: value for key, value in said.items() if value not in (None, "", [])}
        except DAMAGE as error:
            problem = f"what {name} reads of it is damaged ({str(error)[:200] or type(error).__name__})"
            raise source.error(problem, code="metadata", remedy=f"export it again, or remove it: {BY_HAND}") from None
        if words and said.keys() - draft.keys():
            draft = {**said, **draft}
            places.append(words.where)
    return Reading(named(source, draft), "; ".join(places), signature)


BY_HAND = "a manifest can say it, see docs/submitting.md"


def named(source: Source, draft: Mapping[str, Any]) -> dict[str, Any]:
    """Parts of a manifest with the file's own name where they have none."""
    stem = PurePosixPath(source.main).stem
    return {"name": stem, "detector": {"name": draft.get("name", stem)}} | dict(draft)


def plain_data(source: Source, name: str, text: str | bytes) -> dict[str, Any]:
    """A JSON, YAML or TOML document, by its name's suffix; empty where it is not a mapping.

    Raises:
        SubmissionError: It is damaged, or too large to describe a network.
    """
    parsers = {".toml": lambda text: tomllib.loads(text.decode() if isinstance(text, bytes) else text)}
    parse = parsers.get(PurePosixPath(name).suffix, plain_yaml if name.endswith((".yaml", ".yml")) else json.loads)
    try:
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"{len(text):,} characters")
        document = parse(text)
        check_values(document, MOST_VALUES)
    except DAMAGE as error:
        problem = f"{name} is damaged ({str(error)[:200] or type(error).__name__})"
        raise source.error(problem, code="metadata", remedy=f"export it again, or remove it: {BY_HAND}") from None
    return document if isinstance(document, dict) else {}


def in_order(names: object) -> list[str]:
    """Categories in the order of their numbers from 0, from a list or a mapping by number; a gap names nothing.

    Raises:
        ValueError: They are neither, or numbered as no detector's are.

    Example:
        >>> in_order({"0": "zebra", 2: "lion"})
        ['zebra', 'N/A', 'lion']
    """
    numbered = dict(enumerate(names)) if isinstance(names, list | tuple) else names
    if not isinstance(numbered, Mapping) or not all(isinstance(name, str | int | float) for name in numbered.values()):
        raise ValueError("names are neither a list nor a mapping by number")
    by_number = {int(number): str(name) for number, name in numbered.items()}
    if by_number and not 0 <= min(by_number) <= max(by_number) < MOST_CATEGORIES:
        raise ValueError(f"names are numbered from {min(by_number)} to {max(by_number)}")
    return [by_number.get(number, "N/A") for number in range(max(by_number, default=-1) + 1)]
