"""The nearest manifest of a file that does not say enough: what was read, what its answers tell, and what is left open.

What is left open stands in it as `???`, with what may be put there, so that it is refused until a person completes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wildbench.submissions.formats import Signature
from wildbench.submissions.manifest import OPEN, Manifest
from wildbench.submissions.survey._probe import Answered, Probe

COCO = 80
"""Categories of COCO, which most published detectors know."""

STRIDES = (8, 16, 32)
"""Of nearly every detector with undecoded levels."""

LIMITS = {"score_threshold": 0.01, "nms_iou": 0.6, "max_detections": 300}

Part = dict[str, Any]

TORCHVISION_FROM_ZERO: Part = {
    "kind": "described",
    "boxes": {"output": "boxes"},
    "labels": {"output": "labels", "first": 0},
    "scores": {"output": "scores"},
}
"""As torchvision, but the first category is label 0."""


@dataclass
class Draft:
    """A manifest with gaps.

    Attributes:
        document: Parts of a manifest, as plain data.
        gaps: What it leaves open, by key, in words.
        where: What is known from where.
    """

    document: dict[str, Any]
    gaps: dict[str, str] = field(default_factory=dict)
    where: str = ""

    def to_json(self) -> str:
        """As it is written beside the file."""
        return json.dumps(self.document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def draft_manifest(read: Mapping[str, Any], where: str, name: str, signature: Signature | None, probe: Probe) -> Draft:
    """Complete what readers read, as far as a probe tells.

    Args:
        read: Parts of a manifest.
        where: What was read from where.
        name: Of the submission, where nothing tells another.
        signature: Of the network.
        probe: What it answers; without outputs where it was not run.
    """
    document = {"name": name, "detector": {"name": name}, **read}
    draft = Draft(document, where=where)
    count = None
    if "output" not in document:
        output, count, gap = read_outputs(probe)
        document["output"] = output or {"kind": f"{OPEN} torchvision, yolox, yolov8, detr or described"}
        if gap:
            draft.gaps["output"] = gap
        if output:
            draft.where = "; ".join(filter(None, [where, "outputs from its answers to two pictures"]))
    elif document["output"] == {"kind": "torchvision"} and _labels_from_zero(probe):
        document["output"] = TORCHVISION_FROM_ZERO
        draft.where += ", labels from 0 as it answers"
    if "categories" not in document:
        document["categories"] = [OPEN] * (count or 1)
        several = f"the names of its {f'{count} ' if count else ''}categories, in the order of its labels"
        several += " (docs/yolox_nano.manifest.json has COCO's 80)" if count == COCO else ""
        draft.gaps["categories"] = "the name of its only category" if count == 1 else several
    if "input" not in document:
        document["input"], draft.gaps["input"] = _input(signature)
    return draft


def _labels_from_zero(probe: Probe) -> bool:
    labels = [output for output in probe.outputs if output.name == "labels" and output.columns]
    return any(output.columns[0].whole and output.columns[0].low == 0 for output in labels)


def _input(signature: Signature | None) -> tuple[Part, str]:
    """The graph tells size, layout and type; how an image becomes these numbers stands nowhere."""
    port = signature.image if signature else None
    gaps = {"resize": "stretch, letterbox, shortest_edge or none", "channels": "rgb or bgr"}
    if port is None or port.dtype != "uint8":
        gaps["scale"] = "0-1 or 0-255"
    contract: Part = {key: f"{OPEN} {values}" for key, values in gaps.items()}
    if port is not None and port.dtype == "uint8":
        contract["scale"] = "0-255"
    mean = "" if "scale" not in gaps else "; mean and std, if it was trained with them"
    return contract, "; ".join(f"{key}: {values}" for key, values in gaps.items()) + mean


def read_outputs(probe: Probe) -> tuple[Part | None, int | None, str]:
    """The output contract that fits what a network answers.

    Returns:
        The contract as plain data, None where none fits; the number of categories, where it tells; and what is not
        sure about it.
    """
    outputs = [output for output in probe.outputs if output.columns]
    boxes = next((output for output in outputs if len(output.columns) == 4 and output.form), None)
    if boxes is not None and len(outputs) > 1:
        return _apart(boxes, [output for output in outputs if output is not boxes])
    if outputs and len(outputs[0].columns) > 4:
        return _together(outputs[0], probe.canvas)
    return None, None, "what its outputs hold" if outputs else "what its outputs hold: it was not run"


def misread_form(manifest: Manifest, probe: Probe) -> str | None:
    """What speaks against the form of the manifest's boxes in a network's answers; None where nothing does."""
    boxes = manifest.output.described([output.name for output in probe.outputs]).boxes
    known = {name: output for place, output in enumerate(probe.outputs) for name in (place, output.name)}
    seen = known.get(boxes.references[0])
    first = boxes.columns[0] if boxes.columns else 0
    if seen is None or seen.first != first or {seen.form, boxes.form} != {"xyxy", "cxcywh"}:
        return None
    mixed = seen.form == "cxcywh" and seen.ordered > MANY  # corners of which some have no area
    return None if mixed else f"boxes look like {seen.form}; the manifest says {boxes.form}"


MANY = 0.5
"""Of the candidates."""


def _together(output: Answered, canvas: tuple[int, int]) -> tuple[Part | None, int | None, str]:
    """Boxes, scores and labels in the columns of one matrix."""
    columns, width = output.columns, len(output.columns)
    side = {"candidates": "columns"} if output.candidates == "columns" else {}
    if width == 6 and columns[5].whole and output.within(4, 5):
        return _rows(output, side, scores=4, labels=5), None, _first_label(columns[5].low)
    if width == 7 and columns[0].whole:
        scores, labels = (2, 1) if output.first == 3 else (6, 5)
        part = _rows(output, side, scores=scores, labels=labels)
        return part | {"image_index": {"columns": [0, 1], **side}}, None, _first_label(columns[labels].low)
    if output.candidates == "columns" and output.form is None and len(output.shape) == 4 and width > 6:
        stride = canvas[0] // output.shape[2]
        if output.within(0, 1) and output.within(5) and not output.within(1, 5):
            return _fastestdet(stride), width - 5, "whether it is FastestDet, whose columns are such"
    cells = sum(math.prod(-(-length // stride) for length in canvas) for stride in STRIDES)
    if output.form is None or output.count % cells == 0:
        if output.candidates == "rows" and width > 5 and output.count % cells == 0 and output.within(4):
            return {"kind": "yolox", "strides": list(STRIDES), **LIMITS}, width - 5, ""
        return None, None, "how its boxes are decoded: their columns are neither corners nor centres"
    return _matrix(output, side)


def _fastestdet(stride: int) -> Part:
    """One feature map: objectness, an undecoded box, and a softmax over the categories."""
    side = {"candidates": "columns"}
    return {
        "kind": "described",
        "objectness": {"columns": [0, 1], "weight": 0.6, **side},
        "boxes": {"columns": [1, 5], "form": "fastestdet", **side},
        "scores": {"columns": [5, None], **side},
        "levels": {"strides": [stride]},
        "multi_label": False,
        **LIMITS,
    }


def _matrix(output: Answered, side: Part) -> tuple[Part, int, str]:
    """Decoded boxes, and a score for each category: [1, N, 5 + C] with objectness, [1, 4 + C, N] without, by custom."""
    begin = 5 if output.candidates == "rows" and len(output.columns) > 5 and output.within(4, 5) else 4
    part: Part = {"kind": "described", "boxes": {"columns": [0, 4], **_form(output), **side}, **LIMITS}
    part["scores"] = {"columns": [begin, None], **side, **_activation(output, begin)}
    if begin == 5:
        part["objectness"] = {"columns": [4, 5], **side}
    gap = "whether column 4 is objectness, or the first category" if begin == 5 else ""
    return part, len(output.columns) - begin, gap


def _apart(boxes: Answered, others: list[Answered]) -> tuple[Part | None, int | None, str]:
    """Boxes in an output of their own."""
    part: Part = {"kind": "described", "boxes": {"output": boxes.name, **_form(boxes)}}
    if boxes.candidates == "columns":
        part["boxes"]["candidates"] = "columns"
    single = [output for output in others if len(output.columns) == 1]
    labels = next((one for one in single if one.count == boxes.count and one.columns[0].whole), None)
    scores = next((one for one in single if one.count == boxes.count and one is not labels and one.within(0)), None)
    if labels and scores:
        count = next((one for one in single if one.count <= 2 and one.columns[0].whole), None)
        if count:
            part["count"] = count.name
        first = 0 if labels.columns[0].low < 1 else 1
        part |= {"scores": {"output": scores.name}, "labels": {"output": labels.name, "first": first}}
        return part, None, _first_label(labels.columns[0].low)
    matrix = next((one for one in others if one.count == boxes.count and one.candidates == boxes.candidates), None)
    if matrix is None:
        return None, None, "which output holds the scores"
    side = {"candidates": matrix.candidates} if matrix.candidates == "columns" else {}
    part |= {"scores": {"output": matrix.name, **side, **_activation(matrix, 0)}, **LIMITS}
    gap = "" if matrix.within(0) else "whether its scores are sigmoids or a softmax, and which column is the background"
    return part, len(matrix.columns), gap


def _rows(output: Answered, side: Part, *, scores: int, labels: int) -> Part:
    """Finished detections."""
    begin = output.first
    return {
        "kind": "described",
        "boxes": {"columns": [begin, begin + 4], **_form(output), **side},
        "scores": {"columns": [scores, scores + 1], **side},
        "labels": {"columns": [labels, labels + 1], "first": 0 if output.columns[labels].low < 1 else 1, **side},
    }


def _form(output: Answered) -> Part:
    return {"form": output.form or "xyxy", "unit": output.unit}


def _activation(output: Answered, begin: int) -> Part:
    return {} if output.within(begin) else {"activation": "sigmoid"}


def _first_label(low: float) -> str:
    return "" if low < 1 else "whether its first category is number 0 or 1"
