"""Which files may be opened, in which format, by which manifest.

A manifest that a person gave comes first, then one beside the file, then one inside it, then what the file says by
itself (`wildbench.submissions.readers`). What they contradict each other in is noted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.errors import SubmissionError
from wildbench.files import write_atomically
from wildbench.plugins import formats
from wildbench.submissions.feed import resolve
from wildbench.submissions.foreign import Adapter, foreign
from wildbench.submissions.formats import Format, Listing, Signature
from wildbench.submissions.manifest import Manifest, manifest_path, parse_manifest
from wildbench.submissions.readers import Reading, contradictions, named, read_manifest
from wildbench.submissions.source import Source


@dataclass(frozen=True)
class Facts:
    """What the process that read a submission's files says of them; see `Admitted`."""

    size: int
    sha256: str
    listing: Listing
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Admitted:
    """A submission that may be opened, as far as can be told from outside. Its files were read once.

    Attributes:
        source: Its bytes.
        format: What opens it.
        manifest: Complete: what a person left out is filled in from the file.
        signature: The network's inputs and outputs, where the file tells.
        origin: Where the manifest is from, in one line.
        notes: What the manifest, the file's metadata and its graph contradict each other in.
        facts: What the process that read the files says of them; None where it was this one.
    """

    source: Source
    format: Format
    manifest: Manifest
    signature: Signature | None = None
    origin: str = ""
    notes: tuple[str, ...] = ()
    facts: Facts | None = None

    @property
    def path(self) -> Path:
        """Where the file was read, for messages."""
        return self.source.path

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return (self.facts or self.source).sha256

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return (self.facts or self.source).size

    @cached_property
    def listing(self) -> Listing:
        """What is stored in the file; raises SubmissionError where it is damaged."""
        if self.facts:
            return self.facts.listing
        listing = self.format.tensors(self.source, self.manifest)
        attached = Counter({part: len(data) for part, (_, data) in self.source.attached.items()})
        return replace(listing, overhead=dict(attached + Counter(listing.overhead))) if attached else listing

    @cached_property
    def metadata(self) -> Mapping[str, str]:
        """What its tool wrote into the file, or into the file's companions, about it."""
        return self.facts.metadata if self.facts else self.format.metadata(self.source)


def admit(
    submission: Path | str | Admitted,
    *,
    manifest: Manifest | Path | str | None = None,
    adapter: Path | str | None = None,
) -> Admitted:
    """Read and check a submission without opening it, in this process; a stranger's goes to `Sandbox.admitted`.

    Args:
        submission: The file, or the folder or zip that holds it; one that is admitted already is returned as it is.
        manifest: In place of one beside or inside the file: a manifest, or the path of one.
        adapter: A file of Python that opens the submission, whatever it is; see docs/submitting.md.

    Raises:
        SubmissionError: The format is unknown, the file is damaged, its manifest is wrong, or it says too little for
            one to be made; or it needs code or files from elsewhere.

    Example:
        >>> admit("yolox_nano.onnx").format.name  # doctest: +SKIP
        'onnx'
    """
    if isinstance(submission, Admitted):
        return submission
    source = Source.read(submission)
    source, format = recognise(source) if adapter is None else (source, Adapter.read(adapter))
    return examine(source, format, given(manifest))


def examine(source: Source, format: Format, stated: Document | None) -> Admitted:
    """Admit a file whose format is known, as `admit` does; the sandbox's child does it with a stranger's."""
    stated = stated or _beside(source)
    whole = source if stated is None else with_manifest(source, stated)
    if isinstance(format, Adapter):
        return _adapted(whole, format, stated)
    signature = format.signature(source)
    manifest, origin, notes = _manifest(source, format, signature, stated)
    complete, more = resolve(manifest, signature, str(source.path))
    format.check(source, complete)
    return Admitted(whole, format, complete, signature, origin, (*notes, *more))


MANIFEST, ADAPTER = "manifest", "adapter"
"""Parts of a submission that lie beside its file."""


def with_manifest(source: Source, stated: Document) -> Source:
    """A submission with the manifest that was stated, where that is not among its files."""
    text, where = stated[0]
    inside = source.files.get(str(PurePosixPath(source.main).parent / Path(where).name))
    return source if inside == text else source.attach(MANIFEST, manifest_path(source.path).name, text)


def with_adapter(source: Source, adapter: Adapter) -> Source:
    """A submission with the code that opens it."""
    return source.attach(ADAPTER, adapter.file, adapter.code.encode())


def provisional(source: Source, format: Format) -> tuple[Admitted, Reading]:
    """A file as it can be opened and shown a picture though nobody knows yet what its answer means; and what is known.

    Raises:
        SubmissionError: It must not be opened.
    """
    signature = format.signature(source)
    contract = _stretched(signature)
    made_up = {"name": "unknown", "detector": {"name": "unknown"}, "categories": ["unknown"], "input": contract}
    manifest, _ = resolve(Manifest.model_validate(made_up), signature, str(source.path))
    format.check(source, manifest)
    return Admitted(source, format, manifest, signature), read_manifest(source, format, signature)


SIDE = 640
"""Pixels; size of the input of a network that takes any."""


def _stretched(signature: Signature | None) -> dict[str, object]:
    """Stretched to the size of the graph: nothing is cut off, and no border added."""
    port = signature.image if signature else None
    contract: dict[str, object] = {"resize": "stretch"}
    if port is None or None in port.shape[-3:]:
        contract["size"] = [SIDE, SIDE]
    if port is None:
        contract["layout"] = "nchw"
    elif port.dtype == "uint8":
        contract["scale"] = "0-255"
    return contract


def _adapted(source: Source, adapter: Adapter, stated: Document | None) -> Admitted:
    """A submission that an adapter opens."""
    document, place = stated or ((None, adapter.file), adapter.file)
    manifest, origin = adapter.stated(source, *document), f"manifest: {place}; opened by {adapter.origin}"
    return Admitted(with_adapter(source, adapter), adapter, manifest, origin=origin)


def recognise(source: Source) -> tuple[Source, Format]:
    """The format of a submission, from its bytes, and the submission with all files that belong to it.

    Raises:
        SubmissionError: No format knows it, its suffix is another's, or a folder holds several.
    """
    if not source.main:
        return _in_folder(source)
    if source.suffix == ".zip" and source.is_zip:
        return _in_folder(source.unzipped())
    candidates, damage = _candidates(source)
    for format in candidates:
        if source.suffix in _suffixes(format):
            return source.with_companions(format.companions(source)), format
    problem = foreign(source) or (None if candidates else damage)
    if problem:
        raise problem
    if not candidates:
        names = ", ".join(formats.names())
        remedy = "save it with wildbench.save_submission(model, path, ...), or export it as one of these"
        raise source.error(f"not in a known format ({names})", code="unknown-format", remedy=remedy)
    what = f"{candidates[0].title} by its bytes, but named {source.suffix or 'without a suffix'}"
    remedy = f"rename it to {PurePosixPath(source.main).stem}{candidates[0].suffix}"
    raise source.error(what, code="wrong-suffix", remedy=remedy)


def _candidates(source: Source) -> tuple[list[Format], SubmissionError | None]:
    """The formats that know the bytes of a file, and what one of them found damaged, if any did."""
    candidates: list[Format] = []
    damage: SubmissionError | None = None
    for format in formats.all().values():
        try:
            if format.sniff(source):
                candidates.append(format)
        except SubmissionError as error:  # a zip that torch did not write may be another format's
            damage = damage or error
    return candidates, damage


def _in_folder(source: Source) -> tuple[Source, Format]:
    """The one submission in a folder."""
    inside = list(_submissions(source))
    if not inside:
        known = foreign(source)
        if known:
            raise known
        problem = f"no file in this folder is in a known format ({', '.join(formats.names())})"
        raise source.error(problem, code="unknown-format", remedy="name the file or folder that your tool exported")
    if len(inside) > 1:
        names = ", ".join(one.main for one, _ in inside[:5])
        raise source.error(f"holds several detectors: {names}", code="several-submissions", remedy="name one of them")
    one, format = inside[0]
    return one.with_companions(format.companions(one)), format


def _submissions(source: Source) -> Iterator[tuple[Source, Format]]:
    """Every file of a folder that some format takes by its suffix and its bytes."""
    for name in source.files:
        one = source.at(name)
        for format in formats.all().values():
            if one.suffix in _suffixes(format) and _knows(format, one):
                yield one, format
                break


def _knows(format: Format, source: Source) -> bool:
    """Whether a format knows the bytes; what one finds damaged may be another's."""
    try:
        return format.sniff(source)
    except SubmissionError:
        return False


def _suffixes(format: Format) -> tuple[str, ...]:
    return (format.suffix, *format.other_suffixes)


def embed(path: Path | str, manifest: Manifest) -> None:
    """Put a manifest, as JSON, in the slot that a file of your own has for it. Nothing in the file runs.

    The same can be done at export time, with `manifest.to_json()` as the text: by
    `torch.jit.save(..., _extra_files={"manifest.json": text})`, by `torch.export.save` with the same `extra_files`, or
    by a metadata property "wildbench" of an ONNX model.

    Raises:
        SubmissionError: The file carries a manifest already, or its format takes none.
    """
    source, format = recognise(Source.read(path))
    write_atomically(source.path, format.embed(source, manifest))


def _manifest(
    source: Source, format: Format, signature: Signature | None, document: Document | None
) -> tuple[Manifest, str, list[str]]:
    """The manifest of a submission, where it is from, and what contradicts it."""
    stated = [one for one in (document, _inside(source, format)) if one]
    first = _plain(stated[0][0][0]) if stated else {}
    try:
        reading = read_manifest(source, format, signature, first)
    except SubmissionError:  # a manifest may know better than a reader
        if not first.keys() >= NEEDED:
            raise
        reading = Reading(named(source, {}))
    if not stated:
        return reading.manifest(source), reading.origin, []
    (manifest, where), *others = [(parse_manifest(*one, reading.draft), place) for one, place in stated]
    _refuse_gaps(source, signature, first.keys() | reading.draft.keys())
    with suppress(SubmissionError):  # what is read is of no use, and not needed
        others.append((parse_manifest(_dump(manifest) | reading.draft, str(source.path)), reading.where))
    notes = [note for other, place in others for note in contradictions(manifest, where, other, place, signature)]
    completed = f", completed by {reading.where}" if NEEDED & (reading.draft.keys() - first.keys()) else ""
    return manifest, f"manifest: {where}{completed}", notes


NEEDED = {"categories", "input", "output"}


def _plain(document: Mapping[str, Any] | str | bytes) -> Mapping[str, Any]:
    """A manifest as plain data; empty where it is damaged."""
    with suppress(ValueError, RecursionError):
        plain = document if isinstance(document, Mapping) else json.loads(document)
        return plain if isinstance(plain, Mapping) else {}
    return {}


def _dump(manifest: Manifest) -> dict[str, Any]:
    return manifest.model_dump(mode="json", exclude_unset=True)


def _refuse_gaps(source: Source, signature: Signature | None, stated: Collection[str]) -> None:
    """The input and output of torchvision are not the default for a network that plainly has others."""
    image = signature.image if signature else None
    if signature is None or image is None:
        return
    if "output" not in stated and len(signature.outputs) < 3:
        names = ", ".join(f"{port.name} {list(port.shape)}" for port in signature.outputs)
        problem = f"its manifest states no output, and nothing tells what {names} means"
        raise source.error(problem, code="no-manifest", remedy=OUTPUTS)
    if "input" not in stated and all(side is not None for side in image.shape):
        problem = f"its manifest states no input, and nothing tells how an image becomes {list(image.shape)}"
        raise source.error(problem, code="no-manifest", remedy='state it, such as {"input": {"resize": "letterbox"}}')


OUTPUTS = "see the table of outputs in docs/submitting.md"


Document = tuple[tuple[bytes, str], str]
"""A manifest as JSON text, the file it stands in, and where that is, for people."""


def given(manifest: Manifest | Path | str | None) -> Document | None:
    """The manifest that a person gave, not yet parsed.

    Raises:
        SubmissionError: There is no such file.
    """
    if manifest is None:
        return None
    if isinstance(manifest, Manifest):
        return (json.dumps(_dump(manifest)).encode(), "manifest"), "given"
    try:
        return (Path(manifest).read_bytes(), str(manifest)), str(manifest)
    except OSError as error:
        problem = f"{manifest}: {error.strerror}"
        raise SubmissionError(problem, code="no-manifest", remedy="check the path") from None


def _beside(source: Source) -> Document | None:
    """The manifest beside a file or a folder: of its name, with the suffix `.manifest.json`."""
    outside = manifest_path(source.path)
    name = manifest_path(Path(PurePosixPath(source.main or source.path.name).name)).name
    document = source.beside(name)
    if document is None and source.is_folder:
        name, document = outside.name, source.neighbour(outside.name)
    return None if document is None else ((document, str(outside.with_name(name))), f"beside it ({name})")


def _inside(source: Source, format: Format) -> tuple[tuple[Mapping[str, Any] | str | bytes, str], str] | None:
    try:
        document = format.manifest(source)
    except SubmissionError as error:
        other = foreign(source)  # torch.save writes for many tools
        raise other if other and other.code == "submission/not-taken" else error from None
    return None if document is None else ((document, str(source.path)), "inside it")
