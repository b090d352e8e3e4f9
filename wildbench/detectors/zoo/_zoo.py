"""The zoo: every detector wildbench can build, by name, for any number of categories.

All of them keep torchvision's contract: in eval mode a list of images `[3, H, W]`, float 0..1, gives a list of dicts
with `boxes` (float32 `[n, 4]`, corners x1, y1, x2, y2 in pixels of that image), `labels` (int64 `[n]`,
1..num_categories), `scores` (float32 `[n]`) and, where the detector predicts them, `masks` (float32 `[n, 1, H, W]`,
0..1). In train mode images and targets give a dict of losses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wildbench import plugins
from wildbench.errors import RecipeError

if TYPE_CHECKING:
    from torch import nn

SMALL = "fcos_efficientnet_lite0_fpn"


@dataclass(frozen=True)
class Detector:
    """What is registered in `wildbench.plugins.detectors`: how to build a detector, and what it can do.

    Methods of compression take its parts by torchvision's names: `transform`, `backbone`, and `head` or `roi_heads`.
    """

    build: Callable[..., nn.Module]
    """`build(num_categories, init=init, **arguments)`; names and shapes of the tensors do not depend on `init`."""
    arguments: Mapping[str, type]
    """Name to `int` or `float` of each argument of `build`; values are finite and not negative."""
    inits: tuple[str, ...] = ("random",)
    """What it can start from. From published weights, batch norms of its `backbone` keep their statistics."""
    masks: bool = False
    """Whether it predicts masks, and has to be taught them."""
    partial_labels: bool = False
    """Whether a target's `known` (see `known_categories`) keeps the other categories out of that image's loss."""
    freeze: Callable[[nn.Module, int], None] | None = None
    """`freeze(model, blocks)` stops the training of the backbone's leading blocks; None if it cannot."""
    small: Mapping[str, float] = field(default_factory=dict)
    """Arguments with which it is cheap to run on an image of 64 x 64 pixels and sure to detect something."""


def names() -> list[str]:
    """Names of the detectors: our own small one first, then torchvision's, then those of installed packages."""
    return list(plugins.detectors.names())


def detector(name: str) -> Detector:
    """The detector registered under a name.

    Raises:
        RecipeError: No detector has that name.
        PluginError: Two installed packages claim the name.

    Example:
        >>> detector("maskrcnn_resnet50_fpn").masks
        True
    """
    if name not in plugins.detectors:
        remedy = f"choose from {', '.join(names())}"
        raise RecipeError(f"no detector is called {name!r}", code="unknown-detector", remedy=remedy)
    entry: Detector = plugins.detectors.get(name)
    return entry


def build(name: str, num_categories: int, init: str = "random", **arguments: Any) -> nn.Module:  # noqa: ANN401
    """Build a detector.

    Args:
        name: One of `names()`.
        num_categories: Background excluded; labels are 1..num_categories.
        init: "random" fetches nothing; "imagenet" starts the backbone, and "coco" everything that does not depend on
            the number of categories, from published weights.
        **arguments: Numbers such as `min_size`, `max_size`, `score_thresh`; each detector has its own.

    Raises:
        RecipeError: Unknown name, argument or init, or a value of the wrong kind.
        DownloadError: Published weights are needed and cannot be fetched, or what was fetched is damaged.

    Example:
        >>> import torch
        >>> detector = build("fcos_efficientnet_lite0_fpn", 13, min_size=64).eval()
        >>> sorted(detector([torch.rand(3, 64, 96)])[0])
        ['boxes', 'labels', 'scores']
    """
    entry = detector(name)
    if num_categories < 1:
        raise RecipeError(f"{name}: {num_categories} categories", code="no-categories", remedy="give at least one")
    if init not in entry.inits:
        remedy = f"use {' or '.join(entry.inits)}"
        raise RecipeError(f"{name} cannot start from {init!r}", code="unknown-init", remedy=remedy)
    for key, value in arguments.items():
        if key not in entry.arguments:
            remedy = f"it takes {', '.join(sorted(entry.arguments))}"
            raise RecipeError(f"{name} takes no argument {key!r}", code="unknown-argument", remedy=remedy)
        numeric = int if entry.arguments[key] is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, numeric) or not 0 <= value < math.inf:
            remedy = f"give a non-negative {entry.arguments[key].__name__}"
            raise RecipeError(f"{name}: {key} = {value!r}", code="argument-value", remedy=remedy)
    return entry.build(num_categories, init=init, **arguments)
