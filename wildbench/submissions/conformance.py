"""What every format has to keep, as checks that its own tests can call.

    from wildbench.submissions.conformance import check_format
    from my_package.tflite import FORMAT

    def test_tflite_conforms(tmp_path):
        check_format(FORMAT, write_small_detector, tmp_path)

A check that fails raises AssertionError, which says what was expected.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wildbench.errors import SubmissionError
from wildbench.plugins import formats
from wildbench.submissions.admission import Admitted, admit, embed, recognise
from wildbench.submissions.decode import decode
from wildbench.submissions.feed import Feed
from wildbench.submissions.formats import Format, Inputs
from wildbench.submissions.manifest import manifest_path
from wildbench.submissions.preprocess import place
from wildbench.submissions.source import Source

Maker = Callable[[Path], object]
"""Writes a small working detector to a path, with its manifest inside it, or beside it at `manifest_path(path)`."""


def check_format(format: Format, make_submission: Maker, folder: Path) -> None:
    """Check a registered format from its first byte to its detections, in an empty folder.

    Raises:
        AssertionError: The format breaks the protocol; says where.
    """
    path = folder / f"small{format.suffix}"
    make_submission(path)
    check_registration(format)
    check_recognition(format, path)
    check_manifest(format, path)
    check_listing(format, path)
    check_backend(format, path)


def check_registration(format: Format) -> None:
    """Its name leads back to it, and its attributes are such as messages and records can show."""
    assert formats.get(format.name) is format, f"the registry's {format.name!r} is another object"
    assert re.fullmatch("[a-z0-9-]+", format.name), f"{format.name!r} cannot stand in a scorecard"
    assert format.suffix.startswith("."), f"{format.suffix!r} has no dot"
    assert format.title, "there is no title"


def check_recognition(format: Format, path: Path) -> None:
    """Its files are recognised, and only its files; damage is a SubmissionError or not its format."""
    source, taken = recognise(Source.read(path))
    assert format.sniff(source), f"{path.name} is not recognised"
    assert taken is format, f"{path.name} is taken for {taken.name!r}"
    for data in (b"random bytes", b"{}", b"PK\x03\x04 no zip"):
        with contextlib.suppress(SubmissionError):  # a broken zip
            assert not format.sniff(Source(Path("other.txt"), data)), f"{data!r} is recognised as {format.name}"
    for end in (len(source.data) // 2, len(source.data) - 9):
        cut = Source(path, files={**source.files, source.main: source.data[:end]}, main=source.main)
        with contextlib.suppress(SubmissionError):
            if format.sniff(cut):
                format.tensors(cut, admit(path).manifest)


def check_manifest(format: Format, path: Path) -> None:
    """A file is admitted by its manifest; a manifest can be put inside."""
    manifest = admit(path).manifest
    source, _ = recognise(Source.read(path))
    if format.manifest(source) is not None:
        return
    whole = path.with_name(f"embedded{path.suffix}")
    whole.write_bytes(path.read_bytes())
    refusals = {"submission/no-slot", "submission/missing-companion"}
    try:
        embed(whole, manifest)
    except SubmissionError as error:
        if error.code not in refusals:
            raise AssertionError(f"a manifest cannot be put inside: {error}") from error
        return
    assert not manifest_path(whole).exists()
    assert admit(whole).manifest == manifest, "the embedded manifest is another"


def check_listing(format: Format, path: Path) -> None:
    """The listed bytes fit in the file; where nothing is listed, there is a reason."""
    admitted = admit(path)
    listing = admitted.listing
    listed = sum(tensor.bytes for tensor in listing.tensors or ()) + sum(listing.overhead.values())
    assert listed <= admitted.source.size, f"{listed} bytes are listed of {admitted.source.size}"
    assert (listing.tensors is None) == (listing.reason is not None), "either tensors or a reason"
    for tensor in listing.tensors or ():
        assert tensor.nonzero is None or 0 <= tensor.nonzero <= tensor.elements, f"{tensor.name}: non-zero elements"
        assert tensor.bytes >= 0, f"{tensor.name}: bytes"


def check_backend(format: Format, path: Path, size: tuple[int, int] = (24, 40)) -> None:
    """It opens on the CPU, answers every image with arrays that its manifest decodes, the same ones each time."""
    admitted = admit(path)
    for library in format.libraries:
        import_module(library)
    backend = format.open(admitted.source, admitted.manifest, "auto", 1)
    assert backend.device.partition(":")[0] in ("cpu", "cuda"), f"device {backend.device!r}"
    facts = json.loads(json.dumps(backend.facts()))
    assert isinstance(facts["device"], str), "facts() gives no device"
    assert facts["peak_memory"] is None or facts["peak_memory"] >= 0, "facts() gives no peak_memory"
    feed = Feed(admitted.manifest, admitted.signature)
    image, inputs = _inputs(admitted, feed, size)
    first, second = backend.run(inputs), backend.run(inputs)
    for port in admitted.signature.outputs if admitted.signature else ():
        assert port.name in first, f"{port.name} is in the signature, and was not answered"
    for name, values in first.items():
        assert isinstance(values, np.ndarray), f"{name} is not an array on the host"
        assert np.array_equal(values, second[name], equal_nan=True), f"{name} differs from one run to the next"
    detections = decode(admitted.manifest, feed.first(first), (image.shape[1], image.shape[2]))
    assert len(detections.boxes) == len(detections.labels) == len(detections.scores)
    if format.counter is not None:  # what is counted crosses to the parent as JSON
        module, _, function = format.counter.partition(":")
        counted = dict(getattr(import_module(module), function)(backend, inputs))
        counted.pop("outputs", None)
        counted = json.loads(json.dumps(counted))
        assert all(macs >= 0 for macs in counted.get("by_module", {}).values()), "negative MACs"


def _inputs(admitted: Admitted, feed: Feed, size: tuple[int, int]) -> tuple[npt.NDArray[np.generic], Inputs]:
    """An image as the manifest wants it, and the network's inputs."""
    placement = place(admitted.manifest.input, *size)
    values = np.random.default_rng(0).random((3, *placement.canvas), np.float32)
    dtype = admitted.manifest.input.dtype or "float32"
    image = (255 * values).astype(np.uint8) if dtype == "uint8" else values.astype(dtype)
    return image, feed(image, placement)
