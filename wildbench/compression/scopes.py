"""Scopes: which part of a detector a step works on."""

from __future__ import annotations

import re
from typing import Literal

from torch import nn

from wildbench.errors import RecipeError

Scope = Literal["backbone", "head", "both", "all"]
"""backbone: with its feature pyramid. head: the ROI heads of a two-stage detector, else the dense head. both: these
two, without a region proposal network, as in Muhawenayo & Gkioxari (2021). all: the whole detector."""

_OUTPUTS = re.compile(
    r".*\.(cls_logits|bbox_reg|bbox_ctrness|bbox_pred|cls_score|mask_fcn_logits)"  # of FCOS, RetinaNet, RPN, RoI heads
    r"|head\.\w+\.module_list\.\d(\.1)?"  # of SSD, SSDLite
)


def prefixes(model: nn.Module, scope: Scope) -> tuple[str, ...]:
    """Beginnings of the names of everything in a scope.

    Args:
        model: A detector of the zoo.
        scope: Which part.

    Raises:
        RecipeError: The detector has no such part.

    Example:
        >>> from wildbench.detectors import zoo
        >>> prefixes(zoo.build("fcos_efficientnet_lite0_fpn", 2), "both")
        ('backbone.', 'head.')
    """
    if scope == "all":
        return ("",)
    heads = tuple(f"{name}." for name in ("roi_heads", "head") if hasattr(model, name))[:1]
    found = {"backbone": ("backbone.",), "head": heads, "both": ("backbone.", *heads)}[scope]
    if not heads or not hasattr(model, "backbone"):
        raise RecipeError(f"scope {scope!r}: the detector has no backbone and head", remedy='use scope "all"')
    return found


def prunable(model: nn.Module, scope: Scope) -> dict[str, nn.Conv2d | nn.ConvTranspose2d | nn.Linear]:
    """The layers with weights in a scope, by name, in the model's order.

    Biases and normalisations are left alone, as everywhere in the field.
    """
    beginnings = prefixes(model, scope)
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and name.startswith(beginnings)
    }


def is_output(name: str) -> bool:
    """Whether a layer's units are the detector's answers (logits, sides of boxes, masks), so that none may go.

    Args:
        name: Of a layer that `prunable` gives.

    Example:
        >>> is_output("head.classification_head.cls_logits"), is_output("head.classification_head.conv.0.1")
        (True, False)
    """
    return _OUTPUTS.fullmatch(name) is not None
