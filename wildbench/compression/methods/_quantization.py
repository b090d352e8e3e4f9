"""Post-training quantization: weights and activations in few bits, without training."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from statistics import median

import torch
from torch import Tensor, nn

from wildbench.compression.catalogue import Half, Quantize
from wildbench.compression.methods import _calibration
from wildbench.compression.methods._calibration import least_scales, mean_inputs, moved, scales, to_codes
from wildbench.compression.methods._wiring import Wiring, channel_axis, fold_norms, watch
from wildbench.compression.subject import Subject, Workshop, is_output, prefixes, prunable
from wildbench.errors import RecipeError
from wildbench.submissions import codecs
from wildbench.submissions.archive import Activation, attach
from wildbench.submissions.codecs import HALF, Steps

STORED = Steps((1, 1), huffman=True)
"""Zeros left out and codes entropy-coded, where that makes them smaller."""

SAMPLED = 4096
"""Values of one result from which its error is estimated."""

CHECKED, LOOKS = 2, 4
"""Calibration images on which an exported graph is run, and on which errors are measured."""


def quantize(subject: Subject, settings: Quantize, workshop: Workshop) -> None:
    """Quantize a detector after training.

    Weights are rounded to symmetric codes with one scale per output channel, activations to one grid each, as ONNX's
    QuantizeLinear does. Biases make up for what rounding the weights does to means. A result that goes anywhere but
    into another quantized layer is rounded too, so that the layer runs in integers.

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
        values = _calibration.observe(model, images, sites, histograms=settings.calibrator != "minmax")
        grids = _calibration.grids(values, settings.calibrator, settings.activations, settings.percentile)
        activations = {name: Activation(grids.get((name, "input")), grids.get((name, "output"))) for name, _ in grids}
    means = mean_inputs(model, images, layers) if settings.correct else {}
    corrected = 0
    for name, layer in layers.items():
        shift = model.get_submodule(norms.get(name, name))
        least = least_for(layer, shift, activations.get(name))
        change = round_weight(subject, f"{name}.weight", layer, settings, least)
        if name in means:
            corrected += take_back(layer, shift, change, means[name])
    if settings.rest == "fp16":
        to_half(model, but=subject.records.keys())
    attach(model, activations)
    subject.activations.update(activations)
    subject.images = images[:CHECKED]
    subject.errors.update(errors(whole, results(model, images[:LOOKS], layers, norms)))
    subject.history.append(phrase(settings, subject.errors, corrected=corrected, layers=len(layers)))


def half(subject: Subject, settings: Half, workshop: Workshop) -> None:
    """Round every tensor but the variances of norms to half precision; the smallest codec stores it like that."""
    to_half(subject.model, but=())
    subject.history.append("half precision, but for the variances of batch norms")


def chosen(model: nn.Module, settings: Quantize) -> dict[str, nn.Module]:
    """The layers to quantize, by name."""
    heads = (*prefixes(model, "head"), "rpn.") if settings.keep == "head" else ()
    layers: dict[str, nn.Module] = {
        name: layer
        for name, layer in prunable(model, settings.scope).items()
        if not name.startswith(heads) and not (settings.keep == "outputs" and is_output(name))
    }
    if not layers:
        message = f"scope {settings.scope!r} without {settings.keep!r} has no layer"
        raise RecipeError(message, code="nothing-to-quantize", remedy="keep less")
    return layers


def sites_of(layers: dict[str, nn.Module], norms: dict[str, str], wiring: Wiring) -> list[_calibration.Site]:
    """Where activations are rounded: the input of each layer, and its result unless it only enters such layers."""

    def passes_on(name: str) -> bool:
        entered = wiring.enters.get(name, set())
        folded = name in norms or not wiring.norms.get(name)
        return folded and name not in wiring.leaves and bool(entered) and entered <= layers.keys()

    outputs = [(norms.get(name, name), "output") for name in layers if not passes_on(name)]
    return [*((name, "input") for name in layers), *outputs]


@torch.no_grad()
def round_weight(subject: Subject, name: str, layer: nn.Module, settings: Quantize, least: Tensor) -> Tensor:
    """Round one weight, keep its codes for the file, and return its change."""
    weight, axis = subject.model.get_parameter(name), channel_axis(layer)
    if not bool(weight.isfinite().all()):
        raise RecipeError(f"{name}: a weight is not finite", code="not-finite", remedy="train the detector again")
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
    """The least scales of a layer's weights, given its bias, that of the norm folded into it, and its input's grid."""
    biases = [one.bias for one in dict.fromkeys((layer, shift)) if isinstance(one.bias, Tensor)]
    if not biases or activation is None or activation.input is None:
        return torch.zeros(())
    return least_scales(torch.stack(biases).sum(0), activation.input.scale)


@torch.no_grad()
def take_back(layer: nn.Module, shift: nn.Module, change: Tensor, mean: Tensor) -> bool:
    """Correct the bias of a layer, or of the norm folded into it, for a change of its weight; False without a bias."""
    bias, moves = shift.bias, moved(layer, change, mean)
    if not isinstance(bias, Tensor) or moves is None:
        return False
    bias.sub_(moves)
    return True


@torch.no_grad()
def to_half(model: nn.Module, but: Collection[str]) -> None:
    """Round all but some tensors and the variances to half precision; a folded norm's variance is 1 less epsilon."""
    for name, tensor in model.state_dict().items():
        if name not in but and not name.endswith("running_var") and HALF.accepts(tensor):
            tensor.copy_(tensor.half())


@torch.no_grad()
def results(
    model: nn.Module, images: Sequence[Tensor], layers: dict[str, nn.Module], norms: dict[str, str]
) -> dict[str, list[Tensor]]:
    """Samples of the result of each layer, image after image; not of a second stage, which gets other proposals."""
    sites = [(norms.get(name, name), "output") for name in layers if not name.startswith("roi_heads.")]
    samples: dict[str, list[Tensor]] = {name: [] for name, _ in sites}

    def sample(site: _calibration.Site, result: Tensor) -> None:
        samples[site[0]].append(result.flatten()[:: max(1, result.numel() // SAMPLED)].clone())

    with _calibration.looking(model, sites, sample):
        for image in images:
            model([image])
    return samples


def errors(whole: dict[str, list[Tensor]], rounded: dict[str, list[Tensor]]) -> dict[str, float]:
    """By module: the norm of the accumulated error of its result, over the norm of the result."""
    relative = {}
    for name, parts in whole.items():
        if parts:
            before, after = torch.cat(parts), torch.cat(rounded[name])
            relative[name] = float((after - before).norm() / before.norm().clamp_min(1e-30))
    return relative


def phrase(settings: Quantize, relative: dict[str, float], *, corrected: int, layers: int) -> str:
    """What was done, for the manifest; `corrected` of `layers` layers have a bias that could be corrected."""
    share = f" of {corrected} of {layers} layers" * (corrected < layers)
    correction = f", bias correction{share}" * (corrected > 0)
    text = f"{settings.weights}-bit weights by channel ({settings.rounding}{correction})"
    if settings.activations is not None:
        text += f", {settings.activations}-bit activations ({settings.calibrator}, {settings.images} images)"
    if settings.keep != "none":
        text += f", {settings.keep} float"
    if relative:
        worst = max(relative, key=relative.__getitem__)
        text += f"; error of results: median {median(relative.values()):.3f}, worst {relative[worst]:.3f} ({worst})"
    return text
