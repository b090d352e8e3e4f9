"""Putting a manifest inside a file that another tool made: TorchScript, torch.export or ONNX."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from wildbench.errors import SubmissionError
from wildbench.files import write_atomically
from wildbench.submissions.contract import Manifest
from wildbench.submissions.formats.admission import EXTRA_RECORD
from wildbench.submissions.sniff import sniff


def embed(path: Path | str, manifest: Manifest) -> None:
    """Put a manifest inside a TorchScript, `.pt2` or ONNX file, in the format's own slot.

    Nothing in the file runs. The same is had at export time, with `manifest.to_json()` as the text, by
    `torch.jit.save(..., _extra_files={"manifest.json": text})`, by `torch.export.save` with the same `extra_files`, or
    by a metadata property "wildbench" of an ONNX model.

    Args:
        path: The file; it is rewritten whole or not at all.
        manifest: Goes in as JSON.

    Raises:
        SubmissionError: The file carries a manifest already, or is of no such format.
    """
    path = Path(path)
    kind = sniff(path)
    if kind == "wildbench":
        raise SubmissionError(f"{path}: a submission.pt has its manifest already", remedy="save it anew")
    write_atomically(path, _onnx(path, manifest) if kind == "onnx" else _zip(path, manifest))


def _onnx(path: Path, manifest: Manifest) -> bytes:
    from wildbench.submissions.formats.onnx_file import METADATA_KEY, load_graph

    model = load_graph(path)
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
    return bytes(model.SerializeToString())


def _zip(path: Path, manifest: Manifest) -> bytes:
    """Append a record; torch finds it wherever it stands."""
    whole = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(whole, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        name = f"{root}/{EXTRA_RECORD}"
        if name in archive.namelist():
            raise SubmissionError(f"{path}: has a manifest inside already", remedy="export it again")
        archive.writestr(zipfile.ZipInfo(name), manifest.to_json())
    return whole.getvalue()
