"""What a network's outputs mean: a description of any detector's, and short names for the common ones.

Every contract's `described` gives a `DescribedOutput`, which is all that decoding knows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Contract(BaseModel):
    """A part of a manifest: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Side = Annotated[int, Field(ge=1, le=16384)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Length = Annotated[float, Field(gt=0)]
Reference = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0, le=1000)]
"""An output: its name, or its position from 0."""

LEVELLED = {"yolox", "yolov3", "yolov5", "ltrb", "distribution", "fastestdet"}
"""Forms of boxes that are relative to the cells of `levels`."""


class Part(Contract):
    """Where one kind of values stands: an output, or columns of it, with one row for each candidate.

    Leading axes of length 1 are taken off. Of a feature map [1, K, H, W] (candidates: columns) the
    candidates are its cells row by row; of one with A anchors, [1, A x K, H, W] or [1, A, H, W, K], anchor by anchor.
    """

    output: Reference | Annotated[tuple[Reference, ...], Field(min_length=1)] = Field(
        default=0, description="Name or position of the output; of several, one for each level, the rows are joined."
    )
    columns: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)] | None] | None = Field(
        default=None, description="The first column and the one after the last, or null for all that follow."
    )
    candidates: Literal["rows", "columns"] = Field(
        default="rows", description="rows: [1, N, K], a row for each candidate. columns: [1, K, N]."
    )

    @property
    def references(self) -> tuple[Reference, ...]:
        """The outputs, one for each level."""
        return self.output if isinstance(self.output, tuple) else (self.output,)

    @model_validator(mode="after")
    def _columns_are_in_order(self) -> Self:
        if self.columns is not None and self.columns[1] is not None and self.columns[1] <= self.columns[0]:
            raise ValueError(f"`columns` {list(self.columns)} is empty")
        return self


class Boxes(Part):
    """The boxes: four columns, for a distribution four times as many as it has bins.

    Forms that need `levels`, p being the columns, s the stride, and cell the column and row of the candidate's cell:

    - yolox: centre (p + cell) s, sides exp(p) s (Megvii).
    - yolov3: centre (sigmoid(p) + cell) s, sides exp(p) anchor (Darknet).
    - yolov5: centre (2 sigmoid(p) - 0.5 + cell) s, sides (2 sigmoid(p))^2 anchor (Ultralytics; YOLOv7).
    - ltrb: distances of the four sides from the point (cell + offset) s (FCOS; YOLO26's raw heads).
    - distribution: such distances, in cells, each the mean of a softmax over its bins (GFL: NanoDet, PicoDet, YOLOv8's
      raw heads).
    - fastestdet: centre (tanh(p) + cell) s, sides sigmoid(p) as fractions of the input.
    """

    form: Literal[
        "xyxy", "cxcywh", "xywh", "yxyx", "yolox", "yolov3", "yolov5", "ltrb", "distribution", "fastestdet"
    ] = "xyxy"
    unit: Literal["pixels", "fractions", "cells"] = Field(
        default="pixels", description="Of the first four forms and ltrb; the others have their own. cells: times s."
    )
    of: Literal["input", "image"] = Field(
        default="input", description="Whose pixels or fractions: the network's input, or the original image."
    )
    clipped: bool = Field(
        default=False, description="true: cut off at its edges before they suppress each other (NanoDet, MMDetection)."
    )


class Scores(Part):
    """A column for each category, and perhaps one for the background; with `labels` one column, a finished score."""

    activation: Literal["none", "sigmoid", "softmax"] = Field(
        default="none", description="What makes probabilities of the values; none where they are."
    )
    background: Literal["none", "first", "last"] = Field(
        default="none", description="The column of the background (or of nothing), which is left out."
    )


class Objectness(Part):
    """One column, by which the scores are multiplied (also centreness, predicted IoU)."""

    activation: Literal["none", "sigmoid"] = "none"
    weight: Fraction | None = Field(
        default=None, description="w for object^w x class^(1 - w); null for the plain product."
    )


class Labels(Part):
    """One column of category numbers, integers or floats without a fraction."""

    first: Literal[0, 1] = Field(description="The number of the first category.")


class Levels(Contract):
    """The grids that raw heads predict on: level after level, each row by row (with anchors: anchor by anchor)."""

    strides: Annotated[tuple[Side, ...], Field(min_length=1)] = Field(description="Pixels per cell, of each level.")
    anchors: tuple[Annotated[tuple[tuple[Length, Length], ...], Field(min_length=1)], ...] | None = Field(
        default=None, description="Of each level: [width, height] of its anchors, pixels of the input."
    )
    offset: Fraction = Field(default=0.5, description="Where in its cell the point of ltrb and distribution is.")

    @model_validator(mode="after")
    def _every_level_has_as_many_anchors(self) -> Self:
        if self.anchors is None:
            return self
        if len(self.anchors) != len(self.strides) or len({len(level) for level in self.anchors}) != 1:
            raise ValueError("`anchors` needs as many for each stride")
        return self


class DescribedOutput(Contract):
    """What each output of the network holds, said part by part; whatever a detector answers is one of these.

    Finished detections have `labels`: a category for each row, and one score. Without `labels` the scores have a
    column for each category, and a threshold and a maximum must be stated.

    Example:
        >>> contract = DescribedOutput(  # YOLOv10, YOLO26, nms=True: [1, N, 6]
        ...     boxes={"columns": (0, 4)}, scores={"columns": (4, 5)}, labels={"columns": (5, 6), "first": 0},
        ...     score_threshold=0.01,
        ... )
        >>> contract.boxes.form, contract.nms_iou
        ('xyxy', None)
    """

    kind: Literal["described"] = "described"
    boxes: Boxes
    scores: Scores
    objectness: Objectness | None = None
    labels: Labels | None = Field(default=None, description="null: from the columns of the scores.")
    count: Reference | None = Field(default=None, description="The output that says how many rows are valid.")
    image_index: Part | None = Field(
        default=None, description="One column, each row's image in the batch; image 0 counts, up to a negative one."
    )
    masks: Reference | None = Field(default=None, description="Masks of the input, [N, 1, H, W] or [N, H, W], 0 to 1.")
    levels: Levels | None = None
    score_threshold: Fraction | None = Field(default=None, description="Detections below it are dropped.")
    nms_iou: Fraction | None = Field(
        default=None, description="IoU above which the weaker of two boxes is dropped; null for none."
    )
    max_detections: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="At most this many, the best, per image."
    )
    class_agnostic: bool = Field(default=False, description="Boxes of different categories suppress each other, too.")
    multi_label: bool = Field(
        default=True,
        description="true: a candidate gives every category above the threshold, as in Ultralytics' validation. false: "
        "only its best, as in Megvii's `postprocess`.",
    )

    def described(self, names: Collection[str]) -> DescribedOutput:
        """Itself: every contract has this method, which is given the names of the outputs in their order."""
        return self

    @model_validator(mode="after")
    def _levels_fit_the_boxes(self) -> Self:
        form = self.boxes.form
        if (form in LEVELLED or self.boxes.unit == "cells") != (self.levels is not None):
            raise ValueError(f"boxes {form!r} in {self.boxes.unit} {'take no' if self.levels else 'need'} `levels`")
        if self.levels is not None and (form in ("yolov3", "yolov5")) != (self.levels.anchors is not None):
            raise ValueError(f"boxes {form!r} {'take no' if self.levels.anchors else 'need'} `anchors`")
        return self

    @model_validator(mode="after")
    def _candidates_are_limited(self) -> Self:
        if self.labels is None and (self.score_threshold is None or self.max_detections is None):
            raise ValueError("without `labels` it needs `score_threshold` and `max_detections`")
        if self.labels is not None and (self.scores.activation == "softmax" or self.scores.background != "none"):
            raise ValueError("with `labels` there is one score: no softmax and no background")
        return self


class TorchvisionOutput(Contract):
    """Finished detections: boxes (xyxy, pixels of the input), labels (1 is the first category), scores, perhaps masks.

    As torchvision's dict, a list with one such dict, TorchScript's (losses, detections), or a tuple in that order.
    """

    kind: Literal["torchvision"] = "torchvision"

    def described(self, names: Collection[str]) -> DescribedOutput:
        """The outputs by name where all are there, else by order."""
        named = {"boxes", "labels", "scores"} <= set(names)
        boxes, labels, scores, masks = ("boxes", "labels", "scores", "masks") if named else (0, 1, 2, 3)
        masked = "masks" in names if named else len(names) > 3
        return DescribedOutput(
            boxes=Boxes(output=boxes),
            labels=Labels(output=labels, first=1),
            scores=Scores(output=scores),
            masks=masks if masked else None,
        )


class _Decoded(Contract):
    """What wildbench needs to know to decode an output itself."""

    score_threshold: Fraction = Field(description="Detections below it are dropped.")
    nms_iou: Fraction | None = Field(
        description="IoU above which the weaker box of one category is dropped; null for none."
    )
    max_detections: Annotated[int, Field(ge=1, le=1000)] = Field(description="At most this many, the best, per image.")

    def _limits(self) -> dict[str, Any]:
        return self.model_dump(include={"score_threshold", "nms_iou", "max_detections", "multi_label"})


class _YoloOutput(_Decoded):
    multi_label: bool = Field(
        default=True,
        description="true: a cell gives every category above the threshold, as in Ultralytics' validation. false: only "
        "its best, as in Megvii's `postprocess`.",
    )


class YoloxOutput(_YoloOutput):
    """YOLOX's undecoded grid, [1, cells, 5 + C].

    xy = (p + cell) x stride, wh = exp(p) x stride, score = object x class. Cells run over `strides` in their order,
    each level row by row.
    """

    kind: Literal["yolox"]
    strides: Annotated[tuple[Side, ...], Field(min_length=1)]

    def described(self, names: Collection[str]) -> DescribedOutput:
        """The first output, column by column."""
        return DescribedOutput(
            boxes=Boxes(columns=(0, 4), form="yolox"),
            objectness=Objectness(columns=(4, 5)),
            scores=Scores(columns=(5, None)),
            levels=Levels(strides=self.strides),
            **self._limits(),
        )


class Yolov8Output(_YoloOutput):
    """Ultralytics' head since v8, [1, 4 + C, N]: cx, cy, w, h in input pixels and a score per class."""

    kind: Literal["yolov8"]
    transposed: bool = Field(default=False, description="The output is [1, N, 4 + C].")

    def described(self, names: Collection[str]) -> DescribedOutput:
        """The first output, column by column."""
        candidates: Literal["rows", "columns"] = "rows" if self.transposed else "columns"
        return DescribedOutput(
            boxes=Boxes(columns=(0, 4), candidates=candidates, form="cxcywh"),
            scores=Scores(columns=(4, None), candidates=candidates),
            **self._limits(),
        )


class DetrOutput(_Decoded):
    """DETR's pair: logits [1, Q, K] and boxes [1, Q, 4], cx, cy, w, h as fractions of the input."""

    kind: Literal["detr"]
    activation: Literal["softmax", "sigmoid"] = Field(
        description="softmax: K = C + 1, the last means no object. sigmoid: K = C, a score for each."
    )

    def described(self, names: Collection[str]) -> DescribedOutput:
        """By the names that DETR's exports have, else by order.

        DETR takes a query's best category; Deformable DETR and its descendants every pair of query and category.
        """
        logits = next((name for name in ("logits", "pred_logits") if {name, "pred_boxes"} <= set(names)), 0)
        softmax = self.activation == "softmax"
        return DescribedOutput(
            boxes=Boxes(output="pred_boxes" if logits else 1, form="cxcywh", unit="fractions"),
            scores=Scores(output=logits, activation=self.activation, background="last" if softmax else "none"),
            multi_label=not softmax,
            **self._limits(),
        )


OutputContract = Annotated[
    DescribedOutput | TorchvisionOutput | YoloxOutput | Yolov8Output | DetrOutput,
    Field(discriminator="kind", default_factory=TorchvisionOutput),
]
"""What the detector's output means. wildbench maps boxes back to the original image and clips them to it."""
