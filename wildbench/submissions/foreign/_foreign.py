"""Formats that are met and not taken: each is named, with the command of its own tool that makes it acceptable.

Pickles are told by the names of classes and keys in them; nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import io
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath

from wildbench.errors import SubmissionError
from wildbench.submissions.source import Source

PICKLE = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
"""How pickles begin."""

MOST_OPCODES = 2**20
"""Of a pickle; a detector's has about fifty thousand."""

LONGEST_WORD = 200
"""Characters of a name in a pickle."""


@dataclass(frozen=True)
class Foreign:
    """A format that is recognised and not taken."""

    title: str
    """With its article."""
    remedy: str
    """The command that makes it acceptable; NAME stands for the file's name."""
    recognises: Callable[[Source], bool]
    code: str = "not-taken"


@dataclass(frozen=True)
class Pickled:
    """What a pickle names: classes and functions as "package.module.name", and short texts such as keys."""

    classes: frozenset[str]
    words: frozenset[str]

    def of(self, *packages: str) -> bool:
        """Whether it needs something from one of these packages."""
        return any(name.startswith(packages) for name in self.classes)


def _pickled(source: Source) -> Pickled:
    """The names in what torch.save or pickle wrote; none where it is something else, or damaged."""
    classes: set[str] = set()
    words: dict[str, None] = {}
    try:
        records = source.records
        script = {"constants.pkl", "archive_format"} & records.keys()
        data = source.record("data.pkl") if "data.pkl" in records and not script else source.data
    except SubmissionError:  # a zip that torch did not write
        return Pickled(frozenset(), frozenset())
    stream, last = io.BytesIO(data if data.startswith(PICKLE) else b""), ["", ""]
    with contextlib.suppress(Exception):  # damaged, or no pickle any more: genops raises errors of many kinds
        for _ in range(4):  # before 1.6, torch.save wrote a number, a version and the machine before the object
            for opcode, argument, _ in islice(pickletools.genops(stream), MOST_OPCODES):
                if opcode.name == "GLOBAL":
                    classes.add(str(argument).replace(" ", "."))
                elif opcode.name == "STACK_GLOBAL":
                    classes.add(".".join(last))
                elif isinstance(argument, str) and len(argument) <= LONGEST_WORD:
                    last = [last[1], argument]
                    words[argument] = None
    return Pickled(frozenset(classes), frozenset(words))


def _needs(*packages: str) -> Callable[[Source], bool]:
    """Whether it is a pickle of objects from these packages."""
    return lambda source: source.parsed(_pickled).of(*packages)


def _has(*words: str) -> Callable[[Source], bool]:
    """Whether it is a pickle with all of these keys."""
    return lambda source: set(words) <= source.parsed(_pickled).words


def _detectron(source: Source) -> bool:
    """By the names that Detectron2 gives to parameters, or its model zoo to its makers."""
    words = source.parsed(_pickled).words
    parts = ("backbone.bottom_up.", "proposal_generator.", "roi_heads.")
    return "model" in words and ("__author__" in words or any(word.startswith(parts) for word in words))


def _weights(source: Source) -> bool:
    """Tensors and plain values alone."""
    classes = source.parsed(_pickled).classes
    plain = ("torch._utils.", "collections.", "numpy.", "argparse.")
    return any(name.startswith("torch._utils.") for name in classes) and all(
        name.startswith(plain) or (name.startswith("torch.") and name.count(".") == 1) for name in classes
    )


def _holds(*names: str) -> Callable[[Source], bool]:
    """Whether a folder holds a file of one of these names, or a file has one of them."""
    return lambda source: any(PurePosixPath(name).name in names for name in source.files)


def _named(*suffixes: str, magic: bytes | None = None) -> Callable[[Source], bool]:
    """Whether the name, or that of a folder, ends so; or the bytes begin so."""

    def recognises(source: Source) -> bool:
        begins = magic is not None and source.data.startswith(magic)
        return begins or source.path.name.endswith(suffixes) or source.main.endswith(suffixes)

    return recognises


IN_CODE = 'load it in the code that made it, and run torch.onnx.export(network, (image,), "model.onnx")'

FOREIGN = [
    Foreign("a pickled Ultralytics network", "run: yolo export model=NAME format=onnx", _needs("ultralytics.")),
    Foreign(
        "a pickled YOLOv5 or YOLOv7 network",
        "run in its repository: python export.py --weights NAME --include onnx",
        _needs("models.yolo.", "models.common."),
    ),
    Foreign(
        "an MMDetection checkpoint",
        "run: python mmdeploy/tools/deploy.py DEPLOY_CONFIG MODEL_CONFIG NAME IMAGE",
        _has("meta", "state_dict"),
    ),
    Foreign(
        "a Lightning checkpoint",
        'run: YourModule.load_from_checkpoint("NAME").to_onnx("model.onnx", image)',
        _has("pytorch-lightning_version", "state_dict"),
    ),
    Foreign(
        "a Detectron2 checkpoint",
        "run: python tools/deploy/export_model.py --format onnx --export-method tracing --config-file CONFIG "
        "--sample-image IMAGE --output . MODEL.WEIGHTS NAME",
        _detectron,
    ),
    Foreign(
        "a Core ML network",
        "export the network it was made from: yolo export format=onnx, or torch.onnx.export",
        _named(".mlpackage", ".mlmodel", ".mlmodelc"),
    ),
    Foreign(
        "a TensorFlow SavedModel",
        "run: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx",
        _holds("saved_model.pb"),
    ),
    Foreign(
        "a TensorFlow frozen graph",
        "run: python -m tf2onnx.convert --graphdef NAME --inputs INPUT:0 --outputs OUTPUT:0 --output model.onnx",
        _named(".pb"),
    ),
    Foreign(
        "a TensorFlow.js network",
        "run: python -m tf2onnx.convert --tfjs model.json --output model.onnx",
        _named("_web_model"),
    ),
    Foreign(
        "a Keras network",
        "run: python -m tf2onnx.convert --keras NAME --output model.onnx",
        _named(".keras", ".h5", magic=b"\x89HDF"),
    ),
    Foreign(
        "an RKNN network", "give the ONNX file that rknn-toolkit2 loaded", _named(".rknn", "_rknn_model", magic=b"RKNN")
    ),
    Foreign(
        "a Hailo network", "give the ONNX file that hailo parser onnx read", _named(".hef", ".har", magic=b"\x01HEF")
    ),
    Foreign("an MNN network", "give the ONNX file that MNNConvert -f ONNX --modelFile read", _named(".mnn")),
    Foreign(
        "a network for Sony's IMX500",
        "run: yolo export model=MODEL.pt format=onnx",
        _named("packerOut.zip", ".rpk", "_imx_model"),
    ),
    Foreign("an OpenVINO blob for a Myriad", "give the .xml and .bin that compile_tool read", _named(".blob")),
    Foreign("a Qualcomm container", "give the ONNX file that snpe-onnx-to-dlc read", _named(".dlc")),
    Foreign(
        "a Darknet network",
        "run, with pytorch-YOLOv4: python tool/darknet2onnx.py network.cfg network.weights image.jpg 1",
        _named(".weights", ".cfg"),
    ),
    Foreign(
        "a Hugging Face network that is pickled, or in several files",
        'run: AutoModelForObjectDetection.from_pretrained("FOLDER").save_pretrained("NEW", max_shard_size="50GB")',
        lambda source: re.search(r"(pytorch_model|-of-\d{5})\.(bin|safetensors)$", source.main) is not None,
    ),
    Foreign(
        "a packed archive",
        "unpack it, and hand in the file or folder in it, or a zip of that",
        _named(".gz", ".tgz", ".tar", ".xz", ".bz2", ".7z", ".rar"),
    ),
    Foreign(
        "the second file of an OpenVINO or ncnn network",
        "hand in the .xml or .param beside it, or their folder",
        _named(".bin"),
        code="weights-alone",
    ),
    Foreign(
        "a PaddlePaddle network",
        "run: paddle2onnx --model_dir FOLDER --model_filename model.pdmodel --params_filename model.pdiparams "
        "--save_file model.onnx",
        _named(".pdmodel", ".pdiparams", ".pdparams", "_paddle_model"),
    ),
    Foreign(
        'a checkpoint of a training run ({"model": ...})',
        IN_CODE,
        lambda source: _weights(source) and _has("model")(source),
    ),
    Foreign(
        "a state dict, weights without their network",
        'run: wildbench.save_submission(torch.load("NAME"), "submission.pt", detector=..., categories=[...]) for a '
        f"detector of torchvision's; any other, {IN_CODE}",
        _weights,
        code="weights-alone",
    ),
]
"""In the order in which they are asked."""


def foreign(source: Source) -> SubmissionError | None:
    """The error for a file or folder in a format that is recognised but not supported; None for anything else.

    Example:
        >>> from pathlib import Path
        >>> foreign(Source(Path("tiny.rknn"), b"RKNN")).code
        'submission/not-taken'
    """
    inside = () if source.main else source.files
    for kind in FOREIGN:
        for one in (source, *map(source.at, inside)):
            if kind.recognises(one):
                remedy = kind.remedy.replace("NAME", one.main or source.path.name)
                return source.error(f"{kind.title}, which is not run here", code=kind.code, remedy=remedy)
    return None
