"""What FCOS and RetinaNet need so that their labels are 1..num_categories and partial labels are obeyed.

Both are one-stage detectors with one sigmoid per category. torchvision gives them a logit for index 0 too, because its
labels start at 1; nothing trains it to be positive, but an untrained or compressed network may still answer with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FCOS, RetinaNet

NEVER = -100.0
"""A logit whose probability is zero in float32, and whose focal loss as a negative is zero too."""


def known_categories(annotated: set[int], num_categories: int) -> Tensor:
    """Mask over the logits `[num_categories + 1]` of the categories that are exhaustively boxed in an image.

    Args:
        annotated: Their labels, 1..num_categories.
        num_categories: Number of categories, background excluded.

    Example:
        >>> known_categories({2}, 3).tolist()
        [False, False, True, False]
    """
    known = torch.zeros(num_categories + 1, dtype=torch.bool)
    known[sorted(annotated)] = True
    return known


class _Foreground:
    """Mixed in before the torchvision class; `head_outputs["cls_logits"]` is `[N, locations, num_categories + 1]`."""

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        *rest: Any,  # noqa: ANN401
    ) -> dict[str, Tensor]:
        """The losses; a target's `known` (see `known_categories`) switches off categories that nobody boxed."""
        outputs = {name: output.float() for name, output in head_outputs.items()}
        if all("known" in target for target in targets):
            known = torch.stack([target["known"] for target in targets])[:, None, :]
            outputs["cls_logits"] = outputs["cls_logits"].masked_fill(~known, NEVER)
        losses: dict[str, Tensor] = super().compute_loss(targets, outputs, *rest)  # type: ignore[misc]
        return losses

    def postprocess_detections(self, head_outputs: dict[str, list[Tensor]], *rest: Any) -> list[dict[str, Tensor]]:  # noqa: ANN401
        """The detections, of which none is background."""
        logits = [
            torch.cat([level.new_full((*level.shape[:2], 1), NEVER), level[..., 1:]], -1)
            for level in head_outputs["cls_logits"]
        ]
        detections: list[dict[str, Tensor]] = super().postprocess_detections(  # type: ignore[misc]
            {**head_outputs, "cls_logits": logits}, *rest
        )
        return detections


class ForegroundFCOS(_Foreground, FCOS):  # type: ignore[misc]
    """torchvision's FCOS with labels 1..num_categories, and partial labels."""


class ForegroundRetinaNet(_Foreground, RetinaNet):  # type: ignore[misc]
    """torchvision's RetinaNet with labels 1..num_categories, and partial labels."""
