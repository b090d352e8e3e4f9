"""What goes over before a detector runs: a submission's bytes to the child, and what it read of them to the parent."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, Field, JsonValue, ValidationError

from wildbench.errors import first_problem
from wildbench.plugins import formats
from wildbench.submissions.admission import MANIFEST, Admitted, Document, Facts, with_adapter, with_manifest
from wildbench.submissions.foreign import Adapter
from wildbench.submissions.formats import Count, Format, Listing, Name, Signature
from wildbench.submissions.manifest import Manifest, manifest_path
from wildbench.submissions.process._wire import receive, send
from wildbench.submissions.readers import Reading
from wildbench.submissions.source import Source

LONGEST_REPLY = 2**24
"""Bytes of what the child says of a submission; of a detector with a thousand tensors it is a quarter of a million."""

MOST_SHOWN = 2**10
"""Entries of a file's metadata that are told, and characters of each."""

MOST_NEIGHBOURS = 2**12
"""Files that a submission may ask for beside it."""


def sealed(parts: Iterable[bytes]) -> int:
    """A descriptor of these bytes, one part after the other, that nobody can change; only read where Linux is not."""
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:
            file.writelines(parts)
            file.flush()
            return os.open(file.name, os.O_RDONLY)
    import fcntl

    descriptor = os.memfd_create("submission", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(descriptor, "wb", closefd=False) as file:
        file.writelines(parts)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor


def send_bytes(channel: socket.socket, parts: Iterable[bytes]) -> None:
    """Hand over a sealed copy, which the other side takes with `receive_bytes`."""
    descriptor = sealed(parts)
    try:
        socket.send_fds(channel, [b"\0"], [descriptor])
    finally:
        os.close(descriptor)


def receive_bytes(channel: socket.socket, sizes: Iterable[int]) -> list[bytes]:
    """The parts of what `send_bytes` handed over."""
    _, (descriptor, *_), _, _ = socket.recv_fds(channel, 1, 1)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        file.seek(0)
        return [file.read(size) for size in sizes]


def send_submission(
    channel: socket.socket,
    source: Source,
    stated: Document | None,
    adapter: Adapter | None,
    **asked: bool,
) -> None:
    """Hand over a submission, the manifest that a person gave, and the adapter that opens it."""
    (text, where), origin = stated or ((b"", ""), "")
    sizes = {name: len(data) for name, data in source.files.items()}
    header: dict[str, Any] = {"name": source.path.name, "files": sizes, "main": source.main}
    header["stated"] = [where, origin, len(text)] if stated else None
    header["adapter"] = [adapter.file, adapter.code] if adapter else None
    send(channel, header | asked)
    send_bytes(channel, [*source.files.values(), text])


class Told(BaseModel):
    """What the child says of a submission. No byte of it is believed before it is validated."""

    format: Name
    main: Name
    companions: Annotated[list[Name], Field(max_length=MOST_NEIGHBOURS)]
    """Files beside it that belong to it."""
    unzipped: tuple[Count, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]] | None
    """Bytes and hash of the files in it and of what is attached, where it is a zip of them."""
    described: bool
    """Whether a manifest that is none of its files is a part of it: the one that was given, else the one beside it."""
    manifest: Manifest
    signature: Signature | None
    origin: Name
    notes: list[Name]
    listing: Listing
    metadata: dict[Name, Name]
    draft: dict[str, JsonValue] | None = None
    """Where nothing says what it answers: what is known of its manifest; `manifest` is made up then."""
    where: Name = ""
    """Where that was read."""

    @classmethod
    def of(cls, admitted: Admitted, given: Source, reading: Reading | None = None) -> Told:
        """What is to be told of a submission, of which `given` was handed over.

        Raises:
            SubmissionError: It is too much, or no number can say it.
        """
        source = admitted.source
        unzipped = bool(given.main) and source.is_folder
        metadata = dict(list(admitted.metadata.items())[:MOST_SHOWN])
        try:
            reply = cls(
                format=admitted.format.name,
                main=source.main,
                companions=[] if unzipped else [name for name in source.files if name not in given.files],
                unzipped=(source.size, source.sha256) if unzipped else None,
                described=MANIFEST in source.attached,
                manifest=admitted.manifest,
                signature=admitted.signature,
                origin=admitted.origin,
                notes=list(admitted.notes),
                listing=admitted.listing,
                metadata={name[:MOST_SHOWN]: str(text)[:MOST_SHOWN] for name, text in metadata.items()},
                draft=reading.draft if reading else None,
                where=reading.where if reading else "",
            )
            text = json.dumps(reply.model_dump(mode="json"))
            if len(text) > LONGEST_REPLY:
                raise source.error(
                    f"{len(text):,} bytes describe it", code="too-much", remedy="export it with fewer tensors"
                )
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise source.error(f"what it says of itself is damaged ({first_problem(error)})") from None

    def admitted(self, source: Source, adapter: Adapter | None, stated: Document | None = None) -> Admitted:
        """The submission, as the parent knows it that has read `source`.

        Raises:
            ValueError: The two do not go together.
        """
        if self.unzipped is None:
            if self.companions:
                source = source.with_companions(self.companions)
            if self.main != source.main:
                if self.main not in source.files:
                    raise ValueError(f"{self.main!r}, a file that it was not given")
                source = source.at(self.main)
            source = source if adapter is None else with_adapter(source, adapter)
            if self.described:
                text = stated[0][0] if stated else source.neighbour(manifest_path(source.path).name)
                if text is None:
                    raise ValueError("a manifest that is not there")
                source = with_manifest(source, ((text, ""), ""))
        size, sha256 = self.unzipped or (source.size, source.sha256)
        format: Format = adapter or formats.get(self.format)
        facts = Facts(size, sha256, self.listing, self.metadata)
        return Admitted(source, format, self.manifest, self.signature, self.origin, tuple(self.notes), facts)


def neighbours(channel: socket.socket) -> Any:  # noqa: ANN401 - a function
    """Asks the parent for files beside a submission, each of them once."""
    known: dict[str, bytes | None] = {}

    def ask(name: str) -> bytes | None:
        if name not in known:
            send(channel, {"beside": name})
            size = receive(channel)["size"]
            known[name] = None if size is None else receive_bytes(channel, [size])[0]
        return known[name]

    return ask
