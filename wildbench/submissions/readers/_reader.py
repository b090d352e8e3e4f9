"""What a reader is, and the manifest that all readers together make of one file.

A reader knows one way in which tools describe their detectors. It is the one thing to write, and to register, for
wildbench to take the files of another tool without a manifest:

    [project.entry-points."wildbench.readers"]
    my-tool = "my_package.reader:READER"
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, ClassVar, Protocol

from wildbench.plugins import readers
from wildbench.submissions.formats import Format, Port, Signature
from wildbench.submissions.manifest import Manifest, manifest_path, parse_manifest
from wildbench.submissions.source import Source

NEEDED = ("categories", "input", "output")
"""Parts of a manifest without which nothing can be measured."""


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
        where: What was read from where, for people: "names, size and stride from metadata_props (Ultralytics)".
    """

    draft: dict[str, Any]
    where: str


class Reader(Protocol):
    """One way in which tools describe their detectors."""

    name: ClassVar[str]
    """As in the registry."""

    def read(self, described: Described, draft: Mapping[str, Any]) -> Words | None:
        """What this tool says about the file; None where it is not this tool's.

        Args:
            described: The file.
            draft: What readers before this one have said: a reader of graphs may need the number of categories.

        Raises:
            SubmissionError: It is this tool's, and is damaged, or no detector.
        """


@dataclass(frozen=True)
class Reading:
    """What all readers together say.

    Attributes:
        draft: Parts of a manifest, as plain data.
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


def read_manifest(source: Source, format: Format, signature: Signature | None) -> Reading:
    """Ask every registered reader; the first that knows a part has said it.

    Raises:
        SubmissionError: A reader knows the file, and that it is no detector.
    """
    described = Described(source, format, signature)
    draft: dict[str, Any] = {}
    places = []
    for reader in readers.all().values():
        words = reader.read(described, draft)
        if words and words.draft.keys() - draft.keys():
            draft = {**words.draft, **draft}
            places.append(words.where)
    if draft:
        stem = PurePosixPath(source.main).stem
        draft = {"name": stem, "detector": {"name": draft.get("name", stem)}} | draft
    return Reading(json.loads(json.dumps(draft)), "; ".join(places), signature)
