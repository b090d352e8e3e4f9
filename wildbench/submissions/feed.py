"""From a prepared image to the named inputs of a network, and what the file itself says about the first of them.

Layout, type, size and batch stand in the graph, so that nobody has to state them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import SubmissionError
from wildbench.submissions.formats import Port, Signature
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.preprocess import Placement

Array = npt.NDArray[np.generic]

IMAGE = "image"
"""Name of the only input of a format without a signature."""

SECOND_INPUTS: dict[str, Callable[[Placement], list[Any]]] = {
    "orig_target_sizes": lambda placed: [[placed.image[1], placed.image[0]]],  # RT-DETR, D-FINE: width, height
    "im_shape": lambda placed: [list(placed.resized)],  # PaddleDetection
    "scale_factor": lambda placed: [[placed.resized[0] / placed.image[0], placed.resized[1] / placed.image[1]]],
    "image_info": lambda placed: [[*placed.resized, placed.scale[0]]],  # OpenVINO's Faster R-CNN
    "images_info": lambda placed: [[*placed.resized, placed.scale[0]]],
}
"""What other inputs than the image hold, from where the image stands in it; rows, one for each image of the batch."""


def resolve(manifest: Manifest, signature: Signature | None, where: str) -> tuple[Manifest, list[str]]:
    """Fill in what a manifest leaves to the file `where`: layout, dtype and size of the input.

    The graph has the last word, because nothing else runs; a note says what the manifest claimed.

    Returns:
        The manifest with a complete input contract, and notes.

    Raises:
        SubmissionError: It needs a size that neither states, or the graph's dtype does not fit its scale.
    """
    port = signature.image if signature else None
    if port is None:
        return manifest.resolved(where, layout="nchw" if signature else "list"), []
    told = _told(port)
    notes: list[str] = []
    overruled: dict[str, str | None] = {}
    if told["dtype"] == "uint8" and "scale" not in manifest.input.model_fields_set:
        overruled["scale"] = "0-255"
    for name, value in told.items():
        key = "canvas" if name == "size" and manifest.input.canvas else name  # an image may be fitted into less
        stated = getattr(manifest.input, key)
        if stated not in (None, value) and not (name == "size" and value is None):
            notes.append(
                f"warning manifest-contradiction: input.{key} is {stated!r} in the manifest, but {value!r} in the graph"
            )
            overruled[key] = None
    contract = manifest.input.model_copy(update=overruled)
    return manifest.model_copy(update={"input": contract}).resolved(where, **told), notes


def _told(port: Port) -> dict[str, Any]:
    """What the image's port says: layout, dtype, size."""
    colours_last = port.shape[-1] == 3 and port.shape[-3] != 3
    layout = ("n" if len(port.shape) == 4 else "") + ("hwc" if colours_last else "chw")
    known = port.dtype in ("float32", "float16", "uint8") and not port.quantization  # else real numbers are quantized
    height, width = port.shape[-3:-1] if colours_last else port.shape[-2:]
    size = (height, width) if height and width else None
    return {"layout": layout, "dtype": port.dtype if known else "float32", "size": size}


class Feed:
    """Makes the inputs of a network from a prepared image.

    Args:
        manifest: With a complete input contract.
        signature: Of the network; None where there is only the image.

    Raises:
        SubmissionError: The network takes something that nobody can tell from an image.
    """

    def __init__(self, manifest: Manifest, signature: Signature | None) -> None:
        self.layout = manifest.input.layout or "list"
        self._image = signature.image if signature else None
        self._others: list[Port] = []
        if signature:
            self._others = [port for port in signature.inputs if port is not self._image]
        unknown = [port.name for port in self._others if port.name not in SECOND_INPUTS and port.name != "pixel_mask"]
        if unknown:
            problem = f"the network takes {unknown[0]!r} beside an image"
            raise SubmissionError(problem, code="inputs", remedy="export it with one input")

    @property
    def batch(self) -> int:
        """Images that the network takes at once; more than one where the file was exported with a fixed batch."""
        return (self._image.shape[0] or 1) if self._image and len(self._image.shape) == 4 else 1

    def __call__(self, image: Array, placement: Placement) -> dict[str, Array]:
        """The inputs by name for one image, 3 x H x W, that stands in it as `placement` says."""
        values = image
        if self.layout.endswith("hwc"):
            values = np.ascontiguousarray(values.transpose(1, 2, 0))
        if self.layout.startswith("n"):
            values = values[None] if self.batch == 1 else np.repeat(values[None], self.batch, axis=0)
        if self._image is None:
            return {IMAGE: values}
        inputs = {self._image.name: _quantized(values, self._image)}
        for port in self._others:
            inputs[port.name] = self._other(port, placement)
        return inputs

    def first(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Of a fixed batch, the outputs for its first image."""
        if self.batch == 1:
            return dict(outputs)
        return {name: array[:1] if array.shape[:1] == (self.batch,) else array for name, array in outputs.items()}

    def _other(self, port: Port, placement: Placement) -> Array:
        if port.name == "pixel_mask":  # Hugging Face: 1 where the image is, 0 where it is padded
            mask = np.zeros((self.batch, *placement.canvas), port.dtype)
            mask[:, : placement.resized[0], : placement.resized[1]] = 1
            return mask
        rows = np.array(SECOND_INPUTS[port.name](placement), port.dtype)
        return rows[0] if len(port.shape) == 1 else np.repeat(rows, self.batch, axis=0)


def _quantized(values: Array, port: Port) -> Array:
    """Real numbers as the integers of a quantized input."""
    if port.quantization is None:
        return values
    scale, zero = port.quantization
    limits = np.iinfo(port.dtype)
    steps = np.rint(np.divide(values, scale, dtype=np.float32)) + zero
    return np.asarray(np.clip(steps, limits.min, limits.max), port.dtype)
