"""The zoo: every detector wildbench can build, by name, for any number of categories.

All of them keep torchvision's contract: in eval mode a list of images `[3, H, W]`, float 0..1, gives a list of dicts
with `boxes` (float32 `[n, 4]`, corners x1, y1, x2, y2 in pixels of that image), `labels` (int64 `[n]`,
1..num_categories), `scores` (float32 `[n]`) and, from Mask R-CNN, `masks` (float32 `[n, 1, H, W]`, 0..1).
"""

from __future__ import annotations

import math
from typing import Any

from torch import nn

from wildbench.detectors.zoo._published import PARTIAL_LABELS, build_torchvision
from wildbench.detectors.zoo._small_fcos import fcos_efficientnet_lite0_fpn
from wildbench.errors import RecipeError

INITS = ("random", "imagenet", "coco")
SMALL = "fcos_efficientnet_lite0_fpn"

_SIZES = {"min_size": int, "max_size": int}
_DENSE = {"score_thresh": float, "nms_thresh": float, "detections_per_img": int, "topk_candidates": int}
_TWO_STAGE = {
    **_SIZES,
    "box_score_thresh": float,
    "box_nms_thresh": float,
    "box_detections_per_img": int,
    "rpn_pre_nms_top_n_test": int,
    "rpn_post_nms_top_n_test": int,
    "rpn_score_thresh": float,
}
_SMALL = {**_SIZES, **_DENSE, "blocks": int, "channels": int, "depth": int}

_ARGUMENTS: dict[str, dict[str, type]] = {
    SMALL: _SMALL,
    "fasterrcnn_resnet50_fpn": _TWO_STAGE,
    "fasterrcnn_resnet50_fpn_v2": _TWO_STAGE,
    "fasterrcnn_mobilenet_v3_large_fpn": _TWO_STAGE,
    "fasterrcnn_mobilenet_v3_large_320_fpn": _TWO_STAGE,
    "maskrcnn_resnet50_fpn": _TWO_STAGE,
    "maskrcnn_resnet50_fpn_v2": _TWO_STAGE,
    "maskrcnn_mobilenet_v3_large_fpn": _TWO_STAGE,
    "retinanet_resnet50_fpn": {**_SIZES, **_DENSE},
    "retinanet_resnet50_fpn_v2": {**_SIZES, **_DENSE},
    "fcos_resnet50_fpn": {**_SIZES, **_DENSE},
    "ssd300_vgg16": _DENSE,
    "ssdlite320_mobilenet_v3_large": _DENSE,
}
"""Name → arguments that `build` takes, with their types."""


def names() -> list[str]:
    """Names of the detectors, the small one of our own first.

    Example:
        >>> names()[:2]
        ['fcos_efficientnet_lite0_fpn', 'fasterrcnn_resnet50_fpn']
    """
    return list(_ARGUMENTS)


def obeys_partial_labels(name: str) -> bool:
    """Whether the detector can leave a category that nobody boxed in an image out of that image's loss."""
    return name == SMALL or name in PARTIAL_LABELS


def predicts_masks(name: str) -> bool:
    """Whether the detector predicts (and has to be taught) masks."""
    return name.startswith("maskrcnn")


def build(name: str, num_categories: int, init: str = "random", **arguments: Any) -> nn.Module:  # noqa: ANN401
    """Build a detector.

    The architecture, and so the names and shapes of its tensors, follow from the other arguments, never from `init`.

    Args:
        name: One of `names()`.
        num_categories: Background excluded; labels are 1..num_categories.
        init: "random" fetches nothing; "imagenet" starts the backbone, and "coco" everything that does not depend on
            the number of categories, from published weights.
        **arguments: Numbers such as `min_size`, `max_size`, `score_thresh`; each detector has its own.

    Raises:
        RecipeError: Unknown name, argument or init, a value of the wrong kind, or no such published weights.
        DownloadError: Published weights are needed and cannot be fetched, or what was fetched is damaged.

    Example:
        >>> import torch
        >>> detector = build("fcos_efficientnet_lite0_fpn", 13, min_size=64).eval()
        >>> sorted(detector([torch.rand(3, 64, 96)])[0])
        ['boxes', 'labels', 'scores']
    """
    _check(name, num_categories, init, arguments)
    if name != SMALL:
        return build_torchvision(name, num_categories, init, **arguments)
    if init == "coco":
        raise RecipeError(f"{name}: no COCO weights are published", remedy="start from imagenet")
    return fcos_efficientnet_lite0_fpn(num_classes=num_categories + 1, imagenet=init == "imagenet", **arguments)


def _check(name: str, num_categories: int, init: str, arguments: dict[str, Any]) -> None:
    if name not in _ARGUMENTS:
        raise RecipeError(f"no detector is called {name!r}", remedy=f"choose from {', '.join(names())}")
    if num_categories < 1:
        raise RecipeError(f"{name}: {num_categories} categories", remedy="a detector needs at least one")
    if init not in INITS:
        raise RecipeError(f"{name}: init {init!r} is unknown", remedy=f"choose from {', '.join(INITS)}")
    allowed = _ARGUMENTS[name]
    for key, value in arguments.items():
        if key not in allowed:
            raise RecipeError(f"{name} takes no argument {key!r}", remedy=f"it takes {', '.join(sorted(allowed))}")
        numeric = int if allowed[key] is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, numeric) or not 0 <= value < math.inf:
            raise RecipeError(f"{name}: {key} = {value!r}", remedy=f"give a non-negative {allowed[key].__name__}")
