"""Our own file format: a `torch.save` archive of plain data, always readable with `weights_only=True`.

{"format": "wildbench-submission", "version": 1, "manifest": {...}, "state_dict": {name: codec record}}
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wildbench.detectors import zoo
from wildbench.errors import RecipeError, SubmissionError
from wildbench.files import write_atomically
from wildbench.submissions import codecs
from wildbench.submissions.formats import SAVE, records, sniff
from wildbench.submissions.manifest import FORMAT, VERSION, Manifest, parse_manifest

SHOWN = 3
"""So many tensors are named in a message."""


@dataclass(frozen=True)
class Archive:
    """What a `submission.pt` holds.

    Attributes:
        manifest: Validated.
        tensors: Decoded, by their name in the state dict.
        records: As they are stored.
    """

    manifest: Manifest
    tensors: dict[str, torch.Tensor]
    records: dict[str, codecs.Record]


def save_submission(
    model: nn.Module | Mapping[str, torch.Tensor],
    path: Path | str,
    *,
    detector: str,
    categories: list[str],
    arguments: dict[str, Any] | None = None,
    name: str | None = None,
    codec: str = "raw",
    **manifest: Any,  # noqa: ANN401 - the manifest validates them
) -> Manifest:
    """Write a detector of the zoo as a `submission.pt`.

    Args:
        model: The detector, or its state dict.
        path: File to write; its suffix must be ".pt".
        detector: Name in the zoo that rebuilds it.
        categories: Names of its labels; the first is label 1.
        arguments: Further arguments of `zoo.build`.
        name: Of the submission; by default the file's, without its suffix.
        codec: "raw", or "fp16" for two bytes a weight.
        **manifest: Further keys of the manifest: authors, licence, method, training_data, parent, category_map, input.

    Returns:
        The manifest that was written.

    Raises:
        SubmissionError: A key of the manifest is wrong, or the tensors do not fit the detector of that name.

    Example:
        >>> save_submission(model, "submission.pt", detector="ssdlite320_mobilenet_v3_large",
        ...                 categories=["zebra", "lion"], authors=["A. Ranger"])  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix != ".pt":
        raise SubmissionError(f"{path}: a submission's suffix is .pt", remedy=f"name it {path.stem}.pt")
    architecture = {"name": detector, "arguments": arguments or {}}
    document = {"name": name or path.stem, "detector": architecture, "categories": categories, **manifest}
    checked = parse_manifest(document, str(path))
    state = model.state_dict() if isinstance(model, nn.Module) else dict(model)
    with torch.device("meta"):
        expected = _build(checked, str(path)).state_dict()
    check_fit(state, expected, str(path))
    plain = {
        "format": FORMAT,
        "version": VERSION,
        "manifest": checked.model_dump(mode="json"),
        "state_dict": {key: codecs.encode(tensor, codec) for key, tensor in state.items()},
    }
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    write_atomically(path, buffer.getvalue())
    return checked


def read_submission(path: Path) -> Archive:
    """Read a `submission.pt`; nothing in it is executed.

    Args:
        path: The file.

    Returns:
        Its manifest and decoded tensors.

    Raises:
        SubmissionError: It is no submission, of a newer version, damaged, or a tensor's codec is unknown.
    """
    path = Path(path)
    content = _load(path)
    manifest = parse_manifest(content["manifest"], str(path))
    stored = content["state_dict"]
    tensors = {key: codecs.decode(record, f"{path}: {key}") for key, record in stored.items()}
    return Archive(manifest, tensors, stored)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a `submission.pt`, without decoding its tensors.

    Raises:
        SubmissionError: As `read_submission`.
    """
    return parse_manifest(_load(Path(path))["manifest"], str(path))


def rebuild(archive: Archive, where: str) -> nn.Module:
    """The detector that an archive describes, with its weights, in eval mode on the CPU.

    Raises:
        SubmissionError: The zoo has no such detector, or the tensors do not fit it.
    """
    model = _build(archive.manifest, where)
    check_fit(archive.tensors, model.state_dict(), where)
    model.load_state_dict(archive.tensors)
    return model.eval()


def check_fit(state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], where: str) -> None:
    """Check that a state dict has the names and shapes of a detector's.

    Args:
        state: Found.
        expected: The detector's own.
        where: The file, for the message.

    Raises:
        SubmissionError: Names the first few tensors that are missing, unexpected or of a wrong shape.
    """
    both = expected.keys() & state.keys()
    wrong = [key for key in expected if key in both and state[key].shape != expected[key].shape]
    problems = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "of a wrong shape": [f"{key} {list(state[key].shape)} not {list(expected[key].shape)}" for key in wrong],
    }
    found = [f"{len(keys)} {what} ({_first(keys)})" for what, keys in problems.items() if keys]
    if found:
        raise SubmissionError(
            f"{where}: the tensors do not fit the detector: {', '.join(found)}",
            remedy="name the detector, arguments and categories that it was trained with",
        )


def parameter_names(manifest: Manifest, where: str) -> set[str]:
    """Names of the tensors that are parameters of the manifest's detector; the others are buffers.

    Raises:
        SubmissionError: The zoo has no such detector.
    """
    with torch.device("meta"):
        return {name for name, _ in _build(manifest, where).named_parameters()}


def _build(manifest: Manifest, where: str) -> nn.Module:
    arguments: dict[str, Any] = {**manifest.detector.arguments, "init": "random"}
    try:
        return zoo.build(manifest.detector.name, len(manifest.categories), **arguments)
    except RecipeError as error:
        raise SubmissionError(f"{where}: {error.what}", remedy=error.remedy) from None


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _load(path: Path) -> dict[str, Any]:
    """The plain data of a submission, its tag and version checked."""
    if sniff(path) != "wildbench":
        raise SubmissionError(f"{path}: not a submission.pt of plain data", remedy="use `wildbench inspect` on it")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in records(path).values()):
        raise SubmissionError(
            f"{path}: its records are zipped, so that their bytes are not what they take",
            remedy="save them with a codec instead",
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the unpickler raises errors of many kinds for a damaged stream
        raise SubmissionError(f"{path}: not readable as plain data ({error})", remedy=SAVE) from None
    return _checked(content, path)


def _checked(content: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401 - whatever the file holds
    if not isinstance(content, dict) or "format" not in content:
        tensors = isinstance(content, dict) and any(isinstance(value, torch.Tensor) for value in content.values())
        what = "a bare state dict, which does not say what detector it belongs to" if tensors else "no submission"
        raise SubmissionError(
            f"{path}: {what}",
            remedy="wrap it: wildbench.save_submission(state_dict, path, detector=..., categories=[...])",
        )
    if content["format"] != FORMAT:
        raise SubmissionError(f"{path}: format tag {content['format']!r} is not {FORMAT!r}", remedy=SAVE)
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise SubmissionError(
            f"{path}: format version {version} is newer than this wildbench reads ({VERSION})",
            remedy="upgrade wildbench",
        )
    if not isinstance(content.get("manifest"), dict) or not isinstance(content.get("state_dict"), dict):
        raise SubmissionError(f"{path}: `manifest` or `state_dict` is missing", remedy=SAVE)
    return content
