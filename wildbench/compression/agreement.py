"""How far an exported graph answers as the detector that it was made of, measured on a few images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnxruntime
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

MOST = 100
"""Boxes of an image that are compared: those of highest score."""

LEAST_IOU = 0.9
"""Of two boxes that are taken for the same."""

Answer = dict[str, Tensor]


@dataclass(frozen=True)
class Agreement:
    """What two detectors say of the same images.

    Attributes:
        images: How many.
        boxes: Of the first, the best of each image.
        found: So many of them have one of the second with the same label and an IoU of at least `LEAST_IOU`.
        apart: Median absolute difference of scores over these; None where there are none.
    """

    images: int
    boxes: int
    found: int
    apart: float | None

    def __str__(self) -> str:
        difference = "" if self.apart is None else f", median difference of scores {self.apart:.4f}"
        return (
            f"ONNX graph beside the detector on {self.images} calibration images: {self.found} of {self.boxes} boxes "
            f"found again (same label, IoU {LEAST_IOU}){difference}"
        )


@torch.no_grad()
def measure(model: nn.Module, graph: bytes, images: Sequence[Tensor]) -> Agreement:
    """Run a graph beside the detector it was made of.

    Args:
        model: In eval mode, on the CPU.
        graph: Takes one image and answers boxes, labels and scores first.
        images: float32, 3 x H x W, 0 to 1.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    pairs = []
    for image in images:
        boxes, labels, scores = map(torch.from_numpy, session.run(None, {"image": image.numpy()})[:3])
        pairs.append((model([image])[0], {"boxes": boxes, "labels": labels, "scores": scores}))
    return compare(pairs)


def compare(pairs: Sequence[tuple[Answer, Answer]]) -> Agreement:
    """Look for the boxes of each first answer in the second.

    Example:
        >>> box = {"boxes": torch.tensor([[0.0, 0, 8, 8]]), "labels": torch.tensor([1]), "scores": torch.tensor([0.5])}
        >>> compare([(box, {**box, "scores": torch.tensor([0.25])})])
        Agreement(images=1, boxes=1, found=1, apart=0.25)
    """
    differences: list[float] = []
    boxes = 0
    for first, second in pairs:
        best = first["scores"].topk(min(MOST, len(first["scores"]))).indices
        boxes += len(best)
        if not len(second["scores"]):
            continue
        overlap = box_iou(first["boxes"][best], second["boxes"]).nan_to_num()
        overlap[first["labels"][best][:, None] != second["labels"]] = 0
        most, there = overlap.max(1)
        apart = (first["scores"][best] - second["scores"][there]).abs()
        differences += apart[most >= LEAST_IOU].tolist()
    median = torch.tensor(differences).quantile(0.5).item() if differences else None
    return Agreement(len(pairs), boxes, len(differences), median)
