"""What input a detector takes: the part of its manifest that says how an image is prepared."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from wildbench.submissions.output import Contract, Side

Triple = tuple[float, float, float]
Layout = Literal["list", "chw", "hwc", "nchw", "nhwc"]


class InputContract(Contract):
    """How an image (uint8, H x W x 3, RGB) becomes the detector's input.

    The default is torchvision's: one float image, 3 x H x W, RGB, 0 to 1, in its own size. Where `size`, `dtype` or
    `layout` are null, the file tells: see `Manifest.resolved`.

    Example:
        >>> InputContract(resize="letterbox", size=(416, 416), layout="nchw", scale="0-255", channels="bgr").position
        'top-left'
    """

    resize: Literal["none", "stretch", "letterbox", "shortest_edge"] = Field(
        default="none",
        description="none: as it is. stretch: to `size`. letterbox: to fit `size`, keeping proportions, and padded to "
        "it. shortest_edge: the shorter side to `shortest_edge`, the longer at most `longest_edge`.",
    )
    size: tuple[Side, Side] | None = Field(
        default=None, description="(height, width) for stretch and letterbox; null for the graph's own."
    )
    shortest_edge: Side | None = None
    longest_edge: Side | None = None
    canvas: tuple[Side, Side] | None = Field(
        default=None,
        description="(height, width) to which a letterbox or shortest_edge is padded; null for `size`, or for nothing.",
    )
    multiple: Side | None = Field(
        default=None,
        description="Pads each side only to the next multiple of it, not to `size`: a stride, or 1 for no padding.",
    )
    enlarge: bool = Field(default=True, description="false: a letterbox never enlarges an image.")
    rounding: Literal["down", "half-even", "half-up", "detr", "transformers", "yolos"] | None = Field(
        default=None,
        description="How the sides of the resized image are rounded. down: Megvii, DAMO-YOLO. half-even: Ultralytics. "
        "half-up: MMDetection, Detectron2. For shortest_edge also detr, transformers and yolos, as their functions do. "
        "null: down at top-left, half-even in the center, detr for shortest_edge.",
    )
    position: Literal["top-left", "center"] = Field(
        default="top-left",
        description="Where the padded image stands: top-left (as Megvii's YOLOX), or center (as Ultralytics').",
    )
    mapping: Literal["sides", "ratio", "center"] | None = Field(
        default=None,
        description="How boxes come back. sides: by what each side was really resized by. ratio: by the letterbox's "
        "one ratio, before rounding (Megvii, YOLO-NAS). center: by that ratio about the center (YOLOv5, MegaDetector "
        "v5). null: ratio for a letterbox at top-left, otherwise sides.",
    )
    pad: Annotated[int, Field(ge=0, le=255)] | Literal["mean"] = Field(
        default=114, description="Grey level around the image; mean: what `mean` and `std` make 0."
    )
    interpolation: Literal["nearest", "bilinear", "bicubic", "area", "lanczos"] = Field(
        default="bilinear", description="The method, by its name in OpenCV (in Pillow, area is called box)."
    )
    antialias: Literal["none", "pillow", "torch"] = Field(
        default="none",
        description="Whose resize. none: OpenCV's, which looks at the nearest pixels only. pillow, torch: theirs, "
        "which average over all pixels when they shrink (slow and fast Hugging Face processors).",
    )
    resize_dtype: Literal["uint8", "float32"] = Field(
        default="uint8", description="uint8: resized values are rounded to grey levels. float32: they are not."
    )
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: Literal["0-1", "0-255"] = "0-1"
    mean: Triple | None = Field(default=None, description="Subtracted after scaling; in the order of `channels`.")
    std: Triple | None = Field(default=None, description="Divides what is left; in the order of `channels`.")
    dtype: Literal["float32", "float16", "uint8"] | None = Field(
        default=None, description="null: the graph's own, float32 where it names none or is quantized."
    )
    layout: Layout | None = Field(
        default=None,
        description="list: [3 x H x W], as torchvision. chw: 3 x H x W. nchw: 1 x 3 x H x W. hwc, nhwc: channels last. "
        "null: the graph's own.",
    )

    @model_validator(mode="after")
    def _sizes_fit_the_resize(self) -> Self:
        edges = self.resize == "shortest_edge"
        for key, needed in (("shortest_edge", edges), ("longest_edge", edges)):
            if (getattr(self, key) is not None) != needed:
                raise ValueError(f"resize {self.resize!r} {'needs' if needed else 'takes no'} `{key}`")
        takes = {
            "size": self.resize in ("stretch", "letterbox"),
            "canvas": self.resize in ("letterbox", "shortest_edge"),
            "multiple": self.resize in ("letterbox", "shortest_edge"),
        }
        for key, allowed in takes.items():
            if getattr(self, key) is not None and not allowed:
                raise ValueError(f"resize {self.resize!r} takes no `{key}`")
        if self.canvas is not None and self.multiple is not None:
            raise ValueError("`canvas` and `multiple` exclude each other")
        return self

    @model_validator(mode="after")
    def _canvas_holds_the_image(self) -> Self:
        if self.canvas is None:
            return self
        edge = self.longest_edge
        least = self.size if edge is None else (edge, edge)
        if least is None:
            raise ValueError("`canvas` needs `size`")
        if self.canvas[0] < least[0] or self.canvas[1] < least[1]:
            raise ValueError("`canvas` must be at least `size`, or `longest_edge` both ways")
        return self

    @model_validator(mode="after")
    def _ways_fit_the_resize(self) -> Self:
        if self.rounding is not None and self.resize not in ("letterbox", "shortest_edge"):
            raise ValueError(f"resize {self.resize!r} takes no `rounding`")
        if self.rounding in ("detr", "transformers", "yolos") and self.resize != "shortest_edge":
            raise ValueError(f"`rounding` {self.rounding!r} is for shortest_edge")
        if self.mapping in ("ratio", "center") and self.resize != "letterbox":
            raise ValueError(f"`mapping` {self.mapping!r} is for letterbox")
        if not self.enlarge and self.resize != "letterbox":
            raise ValueError("`enlarge` false is for letterbox")
        if self.interpolation == "lanczos" and self.antialias != "pillow":
            raise ValueError("`interpolation` 'lanczos' needs `antialias` 'pillow'")
        if self.antialias == "torch" and self.interpolation not in ("bilinear", "bicubic"):
            raise ValueError("`antialias` 'torch' needs `interpolation` 'bilinear' or 'bicubic'")
        return self

    @model_validator(mode="after")
    def _bytes_are_not_normalised(self) -> Self:
        if self.dtype == "uint8" and (self.scale != "0-255" or self.mean is not None or self.std is not None):
            raise ValueError("dtype 'uint8' needs scale '0-255' and no `mean` or `std`")
        if self.dtype == "uint8" and self.resize_dtype == "float32":
            raise ValueError("dtype 'uint8' needs `resize_dtype` 'uint8'")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("`std` must be positive")
        return self

    @model_serializer(mode="wrap")
    def _later_keys_only_where_used(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Manifests written before these keys keep their bytes."""
        document: dict[str, Any] = serialize(self)
        unused = (key for key in LATER_KEYS if getattr(self, key) == type(self).model_fields[key].default)
        for key in unused:
            document.pop(key, None)
        return document


LATER_KEYS = ("canvas", "multiple", "enlarge", "rounding", "mapping", "antialias", "resize_dtype")
"""Keys of the input that are not written where they have their defaults."""
