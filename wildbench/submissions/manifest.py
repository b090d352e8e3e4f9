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
from wildbench.records import check_values
from wildbench.submissions.input import InputContract, Layout
from wildbench.submissions.output import Contract, OutputContract

FORMAT = "wildbench-submission"
"""The tag of a manifest, and of our own archive."""

VERSION = 1
"""Newest version of the manifest that is read."""

MOST_BYTES = 2**22
"""Of a manifest as JSON; one with a thousand categories takes twenty thousand."""

MOST_VALUES = 2**16
"""In a manifest."""

OPEN = "???"
"""Stands in a manifest to be completed for what nobody knows: as a category it names nothing, elsewhere it is wrong."""


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
        description="Names of the labels; the first is label 1. One that names nothing (N/A, background) may repeat."
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
    threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Score from which users should take its detections; AP looks at all of them."
    )
    method: str | None = Field(default=None, description="How it was compressed, in the authors' words.")
    training_data: str | None = None
    parent: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of the dense submission it was made from."
    )

    @model_validator(mode="after")
    def _categories_are_distinct_and_mapped(self) -> Self:
        known = Counter(name for name in self.categories if names_something(name))  # a stranger may name very many
        if not known:
            raise ValueError("`categories` names nothing")
        twice = sorted(name for name, times in known.items() if times > 1)
        if twice:
            raise ValueError(f"`categories` has {twice[0]!r} twice")
        unknown = [name for name in self.category_map if name not in known]
        if unknown:
            raise ValueError(f"`category_map` maps {unknown[0]!r}, which is not one of `categories`")
        return self

    @property
    def label_names(self) -> dict[int, str]:
        """From the detector's labels to the data set's category names.

        Labels that are dropped are missing: categories that are not mapped, and names that name nothing.
        """
        named = self.category_map or {name: name for name in self.categories if names_something(name)}
        return {label: named[name] for label, name in enumerate(self.categories, 1) if name in named}

    def resolved(
        self, where: str, *, layout: Layout, dtype: str = "float32", size: tuple[int, int] | None = None
    ) -> Manifest:
        """The manifest with the nulls of its input filled by what the file tells; what it says itself stays.

        Args:
            where: The file.
            layout: Of the file's input.
            dtype: Of the image that is prepared: the input's own, or float32 where the input is quantized.
            size: (height, width) of the file's input; None where it is not fixed.

        Raises:
            SubmissionError: It needs a size that neither says, or the dtype does not fit the scale.

        Example:
            >>> manifest = Manifest(name="a", detector={"name": "a"}, categories=["zebra"], input={"resize": "stretch"})
            >>> manifest.resolved("a.tflite", layout="nhwc", size=(300, 300)).input.size
            (300, 300)
        """
        resizes = self.input.resize in ("stretch", "letterbox")
        if resizes and self.input.size is None and size is None:
            problem = f"{where}: manifest: input.size: resize {self.input.resize!r} needs it, and the file fixes none"
            raise SubmissionError(problem, code="size", remedy="add the size, [height, width], to the manifest's input")
        told = {"layout": layout, "dtype": dtype} | ({"size": size} if resizes else {})
        try:
            resolved = InputContract.model_validate(told | self.input.model_dump(exclude_none=True))
        except ValidationError as error:
            problem = f"{where}: manifest: input: {first_problem(error)}"
            raise SubmissionError(problem, code="manifest", remedy="see docs/submitting.md") from None
        return self.model_copy(update={"input": resolved})

    def to_json(self) -> str:
        """The manifest as sorted, indented JSON that ends in a newline."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def names_something(category: str) -> bool:
    """Whether a category has a name, not one of the fillers in lists of labels: N/A, ???, background, nothing.

    torchvision, DETR and RF-DETR call the unused ids of COCO's 1 to 90 "N/A", TensorFlow's label maps "???".

    Example:
        >>> [names_something(name) for name in ("zebra", "N/A", "__background__")]
        [True, False, False]
    """
    return category.strip().strip("_").casefold() not in ("", "n/a", "???", "background")


def parse_manifest(
    document: Mapping[str, Any] | str | bytes, where: str, fallback: Mapping[str, Any] | None = None
) -> Manifest:
    """Validate a manifest: its JSON text, or its plain data, from the file `where`.

    `fallback` has parts that are taken where the manifest has none, such as those which a file tells by itself.

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
            if len(document) > MOST_BYTES:
                raise ValueError(f"{len(document):,} bytes")
            document = json.loads(document)
        except (ValueError, RecursionError) as error:
            problem = f"{where}: the manifest is not JSON ({error})"
            raise SubmissionError(problem, code="manifest", remedy="write it again") from None
    if not isinstance(document, Mapping):
        problem = f"{where}: the manifest is not a JSON object"
        raise SubmissionError(problem, code="manifest", remedy="see docs/submitting.md")
    try:
        check_values(document, MOST_VALUES)
    except ValueError as error:
        raise SubmissionError(f"{where}: manifest: {error}", code="manifest", remedy="see docs/submitting.md") from None
    version = document.get("version", VERSION)
    if isinstance(version, int) and version > VERSION:
        problem = f"{where}: manifest version {version} is newer than this wildbench reads ({VERSION})"
        raise SubmissionError(problem, code="newer-version", remedy="upgrade wildbench")
    try:
        return Manifest.model_validate({**(fallback or {}), **document})
    except ValidationError as error:
        problem = f"{where}: manifest: {first_problem(error)}"
        gaps = any(OPEN in str(document.get(part)) for part in ("input", "output"))
        remedy = f"write what is true in place of {OPEN}" if gaps else "see docs/submitting.md"
        raise SubmissionError(problem, code="manifest", remedy=remedy) from None


def manifest_path(submission: Path) -> Path:
    """The path of a manifest beside a submission.

    Example:
        >>> manifest_path(Path("models/yolox_nano.onnx")).name
        'yolox_nano.manifest.json'
    """
    return submission.with_suffix(".manifest.json")
