"""Post-training quantization: weights and activations in few bits, without training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from wildbench.compression.quantization import _calibration
from wildbench.compression.quantization._rounding import Rounding, least_scales, mean_inputs, moved, scales, to_codes
from wildbench.compression.quantization._wiring import Wiring, channel_axis, fold_norms, watch
from wildbench.compression.scopes import Scope, is_output, prefixes, prunable
from wildbench.compression.subject import Method, Settings, Subject, Workshop
from wildbench.errors import RecipeError
from wildbench.submissions import codecs
from wildbench.submissions.archive import Activation, Grid, attach
from wildbench.submissions.codecs import HALF, Steps

STORED = Steps((1, 1), huffman=True)
"""Zeros left out and codes entropy-coded, where that makes them smaller."""

SAMPLED = 4096
"""Values of one result that are looked at for its error."""

CHECKED = 2
"""Calibration images on which an exported graph is run."""

LOOKS = 4
"""Calibration images on which errors are measured."""


class Quantize(Settings):
    """What `quantize` takes."""

    weights: int = Field(default=8, ge=2, le=8, description="Bits of a weight.")
    activations: int | None = Field(
        default=8, ge=2, le=8, description="Bits of an activation; `false` leaves them float."
    )
    scope: Scope = Field(default="all", description="Part of the detector.")
    keep: Literal["none", "outputs", "head"] = Field(
        default="none", description="What stays float: nothing, the layers that predict classes and boxes, the head."
    )
    rounding: Rounding = Field(default="mse", description="How a channel's scale is found.")
    calibrator: _calibration.Calibrator = Field(default="mse", description="How an activation's range is found.")
    percentile: float = Field(default=99.99, gt=50, lt=100, description="Of the calibrator of that name.")
    images: int = Field(
        default=32, ge=1, le=1_000_000, description="To calibrate with, evenly spaced through the training data."
    )
    fold: bool = Field(default=True, description="Fold batch norms into the layers before them.")
    correct: bool = Field(
        default=True, description="Let biases, where a layer has one, take back what rounding does to means of results."
    )
    rest: Literal["fp16", "raw"] = Field(
        default="fp16", description="Biases, norms and the weights that are kept: rounded to half precision, or not."
    )


class Half(Settings):
    """What `half` takes: nothing."""


def quantize(subject: Subject, settings: Quantize, workshop: Workshop) -> None:
    """Quantize a detector after training.

    Weights are rounded to symmetric codes with a scale an output channel, activations to a grid each; both as ONNX's
    QuantizeLinear has it. Biases take back what rounding the weights does to means. What leaves a layer for anything
    but another quantized layer is rounded too, so that the layer runs in integers.

    Raises:
        RecipeError: The scope is empty, the data have no images, or an activation is not finite.
    """
    model = subject.model
    images = _calibration.calibration_images(workshop.data, settings.images)
    wiring = watch(model, images[0])
    norms = fold_norms(model, wiring) if settings.fold else {}
    layers = chosen(model, settings)
    whole = results(model, images[:LOOKS], layers, norms)
    activations: dict[str, Activation] = {}
    if settings.activations is not None:
        sites = sites_of(layers, norms, wiring)
        found = _calibration.observe(model, images, sites, histograms=settings.calibrator != "minmax")
        grids = _calibration.grids(found, settings.calibrator, settings.activations, settings.percentile)
        activations = by_module(grids)
    means = mean_inputs(model, images, layers) if settings.correct else {}
    corrected = 0
    for name, layer in layers.items():
        shift = model.get_submodule(norms.get(name, name))
        least = least_for(layer, shift, activations.get(name))
        change = round_weight(subject, f"{name}.weight", layer, settings, least)
        if name in means:
            corrected += take_back(layer, shift, change, means[name])
    if settings.rest == "fp16":
        to_half(model, leave=subject.records.keys())
    attach(model, activations)
    subject.activations.update(activations)
    subject.images = images[:CHECKED]
    subject.errors.update(errors(whole, results(model, images[:LOOKS], layers, norms)))
    subject.history.append(phrase(settings, subject.errors, corrected=corrected, layers=len(layers)))


def half(subject: Subject, settings: Half, workshop: Workshop) -> None:
    """Round every tensor but the variances of norms to half precision, which is how the smallest codec stores it."""
    to_half(subject.model, leave=())
    subject.history.append("half precision, but for the variances of batch norms")


def chosen(model: nn.Module, settings: Quantize) -> dict[str, nn.Module]:
    """The layers to quantize, by name."""
    kept: tuple[str, ...] = ()
    if settings.keep == "head":
        kept = (*prefixes(model, "head"), "rpn.")
    layers = {name: layer for name, layer in prunable(model, settings.scope).items() if not name.startswith(kept)}
    if settings.keep == "outputs":
        layers = {name: layer for name, layer in layers.items() if not is_output(name)}
    if not layers:
        raise RecipeError(f"scope {settings.scope!r} without {settings.keep!r} has no layer", remedy="keep less")
    return dict(layers)


def sites_of(layers: dict[str, nn.Module], norms: dict[str, str], wiring: Wiring) -> list[_calibration.Site]:
    """Where activations are rounded: what enters each layer, and what leaves it for anything but such layers."""

    def passes_on(name: str) -> bool:
        entered = wiring.enters.get(name, set())
        folded = name in norms or not wiring.norms.get(name)
        return folded and name not in wiring.leaves and bool(entered) and entered <= layers.keys()

    outputs = [(norms.get(name, name), "output") for name in layers if not passes_on(name)]
    return [*((name, "input") for name in layers), *outputs]


def by_module(grids: dict[_calibration.Site, Grid]) -> dict[str, Activation]:
    """Grids by module; an output whose layer's input was never seen cannot be."""
    names = dict.fromkeys(name for name, _ in grids)
    return {name: Activation(grids.get((name, "input")), grids.get((name, "output"))) for name in names}


@torch.no_grad()
def round_weight(subject: Subject, name: str, layer: nn.Module, settings: Quantize, least: Tensor) -> Tensor:
    """Round one weight, and keep its codes for the file; gives by how much it changed."""
    weight, axis = subject.model.get_parameter(name), channel_axis(layer)
    if not bool(weight.isfinite().all()):
        raise RecipeError(f"{name}: a weight is not finite", remedy="train the detector again")
    scale = scales(weight, settings.weights, axis, settings.rounding).maximum(least)
    codes = to_codes(weight, scale, settings.weights, axis).to(torch.int8)
    zero_points = torch.zeros(len(scale), dtype=torch.int64)
    record = codecs.record(codes, scale, zero_points, bits=settings.weights, axis=axis, steps=STORED)
    rounded = codecs.AFFINE.decode(record)
    change = rounded - weight
    weight.copy_(rounded)
    subject.records[name] = record
    return change


@torch.no_grad()
def least_for(layer: nn.Module, shift: nn.Module, activation: Activation | None) -> Tensor:
    """The least scales of a layer's weights, given its bias, that of the norm folded into it, and what enters it."""
    biases = [one.bias for one in dict.fromkeys((layer, shift)) if isinstance(one.bias, Tensor)]
    if not biases or activation is None or activation.input is None:
        return torch.zeros(())
    return least_scales(torch.stack(biases).sum(0), activation.input.scale)


@torch.no_grad()
def take_back(layer: nn.Module, shift: nn.Module, change: Tensor, mean: Tensor) -> bool:
    """Correct the bias of a layer, or of the norm folded into it, for a change of its weight; whether it has one."""
    bias, moves = shift.bias, moved(layer, change, mean)
    if not isinstance(bias, Tensor) or moves is None:
        return False
    bias.sub_(moves)
    return True


@torch.no_grad()
def to_half(model: nn.Module, leave: Collection[str]) -> None:
    """Round tensors to half precision, but those to leave and variances: one that folding left is 1 with epsilon."""
    for name, tensor in model.state_dict().items():
        if name not in leave and not name.endswith("running_var") and HALF.accepts(tensor):
            tensor.copy_(tensor.half())


@torch.no_grad()
def results(
    model: nn.Module, images: Sequence[Tensor], layers: dict[str, nn.Module], norms: dict[str, str]
) -> dict[str, list[Tensor]]:
    """Samples of what leaves each layer, image after image; not of a second stage, which sees other proposals."""
    sites = [(norms.get(name, name), "output") for name in layers if not name.startswith("roi_heads.")]
    found: dict[str, list[Tensor]] = {name: [] for name, _ in sites}

    def sample(site: _calibration.Site, result: Tensor) -> None:
        found[site[0]].append(result.flatten()[:: max(1, result.numel() // SAMPLED)].clone())

    with _calibration.looking(model, sites, sample):
        for image in images:
            model([image])
    return found


def errors(whole: dict[str, list[Tensor]], rounded: dict[str, list[Tensor]]) -> dict[str, float]:
    """By module: the norm of the error that has gathered in its result, over the norm of the result."""
    found = {}
    for name, parts in whole.items():
        if parts:
            before, after = torch.cat(parts), torch.cat(rounded[name])
            found[name] = float((after - before).norm() / before.norm().clamp_min(1e-30))
    return found


def phrase(settings: Quantize, found: dict[str, float], *, corrected: int, layers: int) -> str:
    """What was done, for the manifest; `corrected` of so many layers have a bias that could be corrected."""
    share = f" of {corrected} of {layers} layers" * (corrected < layers)
    correction = f", bias correction{share}" * (corrected > 0)
    said = f"{settings.weights}-bit weights by channel ({settings.rounding}{correction})"
    if settings.activations is not None:
        said += f", {settings.activations}-bit activations ({settings.calibrator}, {settings.images} images)"
    if settings.keep != "none":
        said += f", {settings.keep} float"
    if found:
        worst = max(found, key=found.__getitem__)
        said += f"; error of results: median {median(found.values()):.3f}, worst {found[worst]:.3f} ({worst})"
    return said


METHODS = {
    "quantize": Method(
        Quantize,
        quantize,
        summary="round weights and activations to few bits, calibrated on training images",
        source="Jacob et al., Quantization and Training of Neural Networks (CVPR 2018); Krishnamoorthi (2018)",
        last=True,
        splits=True,
    ),
    "half": Method(
        Half,
        half,
        summary="store every number in half precision, but for the variances of batch norms",
        source="Micikevicius et al., Mixed Precision Training (ICLR 2018)",
        last=True,
    ),
}
