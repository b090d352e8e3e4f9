"""Unit pruning: in each layer, the units of least L2 norm become zero. They stay in place, so no shape changes."""

from __future__ import annotations

from pydantic import Field
from torch import nn
from torch.nn.utils import prune

from wildbench.compression.masks import impose, shell
from wildbench.compression.scopes import Scope, is_output, prunable
from wildbench.compression.subject import Method, Settings, Subject, Workshop


class Units(Settings):
    """What `units` takes."""

    ratio: float = Field(default=0.3, ge=0, lt=1, description="Part of each layer's units that become zero.")
    scope: Scope = Field(default="backbone", description="Which part of the detector.")


def prune_units(subject: Subject, settings: Units, workshop: Workshop) -> None:
    """Zero the weights of `round(ratio x units)` units in each of the scope's layers.

    A unit is a convolution's filter or a linear layer's row. Biases and norms stay, and so do output layers, whose
    units are categories and box sides.
    """
    layers = {name: layer for name, layer in prunable(subject.model, settings.scope).items() if not is_output(name)}
    masks = {}
    total = zeroed = 0
    for name, layer in layers.items():
        units = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        module = shell(layer)
        prune.ln_structured(module, "weight", amount=settings.ratio, n=2, dim=units)  # type: ignore[no-untyped-call]
        mask = module.get_buffer("weight_mask").bool()
        kept = mask.transpose(0, units).flatten(1).any(1)
        masks[f"{name}.weight"] = mask
        total, zeroed = total + len(kept), zeroed + int((~kept).sum())
    impose(subject, masks)
    subject.history.append(f"{zeroed:,} of {total:,} units of {settings.scope} zeroed (L2 norm, layer by layer)")


METHODS = {
    "units": Method(
        settings=Units,
        apply=prune_units,
        summary="unit pruning: in each layer the filters or rows of least L2 norm become zero",
        source="Muhawenayo & Gkioxari (2021), Compressed Object Detection",
        keeps=True,
        splits=True,
    ),
}
