"""The manifest: what a submission says about itself, what input it takes, and what its output means.

The same JSON document travels in every format: as plain data in our own archive, in TorchScript's and torch.export's
extra files, in ONNX's metadata, or beside the file as ``NAME.manifest.json``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, JsonValue, ValidationError, model_validator

from wildbench.errors import SubmissionError, first_problem
from wildbench.submissions.output import Contract, OutputContract, Side

FORMAT = "wildbench-submission"
"""The tag of a manifest, and of our own archive."""

VERSION = 1
"""Newest version of the manifest that is read."""


Triple = tuple[float, float, float]


class InputContract(Contract):
    """How an image (uint8, H x W x 3, RGB) becomes the detector's input.

    The default is torchvision's: a list with one float image, 3 x H x W, RGB, 0 to 1, in its own size.

    Example:
        >>> InputContract(resize="letterbox", size=(416, 416), layout="nchw", scale="0-255", channels="bgr").position
        'top-left'
    """

    resize: Literal["none", "stretch", "letterbox", "shortest_edge"] = Field(
        default="none",
        description="none: as it is. stretch: to `size`. letterbox: into `size`, keeping proportions and padding the "
        "rest. shortest_edge: the shorter side to `shortest_edge`, the longer at most `longest_edge`.",
    )
    size: tuple[Side, Side] | None = Field(default=None, description="(height, width) for stretch and letterbox.")
    shortest_edge: Side | None = None
    longest_edge: Side | None = None
    position: Literal["top-left", "center"] = Field(
        default="top-left",
        description="Where a letterbox puts the image: top-left, sides rounded down (as Megvii's YOLOX), or center, "
        "sides rounded to nearest (as Ultralytics').",
    )
    pad: Annotated[int, Field(ge=0, le=255)] = Field(default=114, description="Grey level around a letterboxed image.")
    interpolation: Literal["nearest", "bilinear", "bicubic", "area"] = Field(
        default="bilinear", description="OpenCV's method of that name, on uint8."
    )
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: Literal["0-1", "0-255"] = "0-1"
    mean: Triple | None = Field(default=None, description="Subtracted after scaling; in the order of `channels`.")
    std: Triple | None = Field(default=None, description="Divides what is left; in the order of `channels`.")
    dtype: Literal["float32", "float16", "uint8"] = "float32"
    layout: Literal["list", "chw", "nchw"] = Field(
        default="list", description="list: [3 x H x W], as torchvision. chw: 3 x H x W. nchw: 1 x 3 x H x W."
    )

    @model_validator(mode="after")
    def _sizes_fit_the_resize(self) -> Self:
        needs = {"stretch": {"size"}, "letterbox": {"size"}, "shortest_edge": {"shortest_edge", "longest_edge"}}
        for key in ("size", "shortest_edge", "longest_edge"):
            given = getattr(self, key) is not None
            if given != (key in needs.get(self.resize, set())):
                raise ValueError(f"resize {self.resize!r} {'takes no' if given else 'needs'} `{key}`")
        return self

    @model_validator(mode="after")
    def _bytes_are_not_normalised(self) -> Self:
        if self.dtype == "uint8" and (self.scale != "0-255" or self.mean is not None or self.std is not None):
            raise ValueError("dtype 'uint8' needs scale '0-255' and no `mean` or `std`")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("`std` must be positive")
        return self


class Detector(Contract):
    """The architecture: a name in the zoo and its arguments for our own archive, else in the authors' words."""

    name: Annotated[str, Field(min_length=1)]
    arguments: dict[str, JsonValue] = Field(default_factory=dict)


class Manifest(Contract):
    """What a submission says about itself.

    Example:
        >>> manifest = Manifest(name="tiny", detector={"name": "ssd300_vgg16"}, categories=["zebra", "lion"])
        >>> manifest.output.kind, manifest.label_names
        ('torchvision', {1: 'zebra', 2: 'lion'})
    """

    format: Literal["wildbench-submission"] = "wildbench-submission"
    version: Literal[1] = 1
    name: Annotated[str, Field(min_length=1, max_length=200)]
    authors: list[str] = Field(default_factory=list)
    licence: str | None = None
    detector: Detector
    categories: Annotated[list[str], Field(min_length=1)] = Field(
        description="Names of the labels; the first is label 1."
    )
    category_map: dict[str, str] = Field(
        default_factory=dict,
        description="From the detector's categories to the data set's; if any is mapped, the others are dropped.",
    )
    input: InputContract = Field(default_factory=InputContract)
    output: OutputContract
    activation_bits: Annotated[int, Field(ge=1, le=32)] = Field(
        default=32,
        description="Bits of quantized activations, where they meet the weights. Not checked, except in a "
        "submission.pt that says how each layer rounds them.",
    )
    method: str | None = Field(default=None, description="How it was compressed, in the authors' words.")
    training_data: str | None = None
    parent: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the dense submission it was made from."
    )

    @model_validator(mode="after")
    def _categories_are_distinct_and_mapped(self) -> Self:
        known = Counter(self.categories)  # a stranger may name very many
        twice = sorted(name for name, times in known.items() if times > 1)
        if twice:
            raise ValueError(f"`categories` has {twice[0]!r} twice")
        unknown = [name for name in self.category_map if name not in known]
        if unknown:
            raise ValueError(f"`category_map` maps {unknown[0]!r}, which is not one of `categories`")
        return self

    @property
    def label_names(self) -> dict[int, str]:
        """From the detector's labels to the data set's category names; labels that are dropped are missing."""
        named = self.category_map or {name: name for name in self.categories}
        return {label: named[name] for label, name in enumerate(self.categories, 1) if name in named}

    def to_json(self) -> str:
        """The manifest as sorted, indented JSON that ends in a newline."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse_manifest(document: Mapping[str, Any] | str | bytes, where: str) -> Manifest:
    """Validate a manifest: its JSON text, or its plain data, from the file `where`.

    Raises:
        SubmissionError: It is not JSON, of a newer version, or a key is missing, unknown or wrong; names the key.

    Example:
        >>> parse_manifest({"name": "tiny"}, "tiny.onnx")
        Traceback (most recent call last):
        ...
        wildbench.errors.SubmissionError: tiny.onnx: manifest: detector: Field required; see docs/submitting.md
    """
    if isinstance(document, (str, bytes)):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError) as error:
            problem = f"{where}: the manifest is not JSON ({error})"
            raise SubmissionError(problem, code="manifest", remedy="write it again") from None
    if not isinstance(document, Mapping):
        problem = f"{where}: the manifest is not a JSON object"
        raise SubmissionError(problem, code="manifest", remedy="see docs/submitting.md")
    version = document.get("version", VERSION)
    if isinstance(version, int) and version > VERSION:
        problem = f"{where}: manifest version {version} is newer than this wildbench reads ({VERSION})"
        raise SubmissionError(problem, code="newer-version", remedy="upgrade wildbench")
    try:
        return Manifest.model_validate(document)
    except ValidationError as error:
        problem = f"{where}: manifest: {first_problem(error)}"
        raise SubmissionError(problem, code="manifest", remedy="see docs/submitting.md") from None


def manifest_path(submission: Path) -> Path:
    """The path of a manifest beside a submission.

    Example:
        >>> manifest_path(Path("models/yolox_nano.onnx")).name
        'yolox_nano.manifest.json'
    """
    return submission.with_suffix(".manifest.json")
