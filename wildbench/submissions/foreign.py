"""Formats that are met and not taken: each is named, with the command of its own tool that makes it acceptable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from wildbench.errors import SubmissionError
from wildbench.submissions.source import Source


@dataclass(frozen=True)
class Foreign:
    """A format that is recognised and not taken."""

    title: str
    """With its article."""
    remedy: str
    """The command that makes it acceptable."""
    recognises: Callable[[Source], bool]


def _holds(*names: str) -> Callable[[Source], bool]:
    """Whether a folder holds a file of one of these names, or a file has one of them."""
    return lambda source: any(PurePosixPath(name).name in names for name in source.files)


def _named(*suffixes: str) -> Callable[[Source], bool]:
    """Whether the name, or that of a folder, ends so."""
    return lambda source: source.path.name.endswith(suffixes)


FOREIGN = [
    Foreign(
        "a Core ML package",
        "export the network it was made from to ONNX (yolo export format=onnx, torch.onnx.export)",
        lambda source: source.path.suffix in (".mlpackage", ".mlmodel", ".mlmodelc"),
    ),
    Foreign(
        "a TensorFlow SavedModel",
        "run: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx",
        _holds("saved_model.pb"),
    ),
    Foreign("a TensorFlow frozen graph", "run: python -m tf2onnx.convert --graphdef GRAPH ...", _named(".pb")),
    Foreign("a Keras network", "run: python -m tf2onnx.convert --keras MODEL --output model.onnx", _named(".keras")),
    Foreign("an RKNN network", "hand in the ONNX file that rknn-toolkit2 converted", _named(".rknn", "_rknn_model")),
    Foreign("a Hailo network", "hand in the ONNX file that the Dataflow Compiler translated", _named(".hef", ".har")),
    Foreign("an MNN network", "hand in the ONNX file that MNNConvert converted", _named(".mnn")),
    Foreign(
        "a PaddlePaddle network",
        "run: paddle2onnx --model_dir FOLDER --model_filename model.pdmodel --save_file model.onnx",
        _named(".pdmodel", ".pdiparams", "_paddle_model"),
    ),
]
"""In the order in which they are asked."""


def foreign(source: Source) -> SubmissionError | None:
    """The error that names a file of a format that is not taken; None where it is none of these.

    Example:
        >>> from pathlib import Path
        >>> foreign(Source(Path("tiny.rknn"), b"RKNN")).code
        'submission/not-taken'
    """
    for kind in FOREIGN:
        if kind.recognises(source):
            return source.error(f"{kind.title}, which cannot be run here", code="not-taken", remedy=kind.remedy)
    return None
