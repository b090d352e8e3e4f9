"""The grids of quantization: of activations by calibration on images, of weights by channel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.errors import RecipeError
from wildbench.submissions.archive import TINY, Grid

Site = tuple[str, str]
"""A module, and "input" or "output"."""

BINS = 2048
"""Of a histogram, as in TensorRT's and ONNX Runtime's calibrators."""

SHRUNK, SHRUNK_WEIGHTS = torch.linspace(0.2, 1.0, 81), torch.linspace(0.3, 1.0, 15)
"""Parts of an activation's range, and of a channel's largest weight, tried for the least squared error."""

LARGEST_BIAS = 2**30
"""Code of a bias; the other half of a 32-bit sum is for the products."""


@dataclass
class Values:
    """The values that passed one site: `counts` of them in `BINS` equal parts of low (<= 0) to high (>= 0)."""

    low: float = 0.0
    high: float = 0.0
    counts: Tensor = field(default_factory=lambda: torch.zeros(BINS, dtype=torch.float64))


def calibration_images(data: Dataset, number: int) -> list[Tensor]:
    """Images evenly spaced through a data set; RecipeError if there are none."""
    if not data.images:
        raise RecipeError(f"{data.name}: no images", code="no-images", remedy="calibrate with a training split")
    chosen = np.unique(np.linspace(0, len(data.images) - 1, number).round().astype(int))
    return opened(data, chosen.tolist())


def opened(data: Dataset, indices: Iterable[int]) -> list[Tensor]:
    """Images of a data set as detectors take them: float32, 3 x H x W, 0 to 1."""
    paths = [data.image_path(data.images[index]) for index in indices]
    return [torch.from_numpy(decode(path).copy()).permute(2, 0, 1).float() / 255 for path in paths]


@torch.no_grad()
def observe(model: nn.Module, images: Sequence[Tensor], sites: Sequence[Site], histograms: bool) -> dict[Site, Values]:
    """The values that pass the sites of a detector, or only their range; RecipeError if one is not finite.

    A site that nothing passes (a mask head without detections) is left out.
    """
    seen: dict[Site, Values] = {}

    def stretch(site: Site, tensor: Tensor) -> None:
        low, high = (float(bound) for bound in tensor.aminmax())
        if not np.isfinite([low, high]).all():
            message = f"{site[0]}: its {site[1]} is not finite on a calibration image"
            raise RecipeError(message, code="not-finite", remedy="train the detector again")
        values = seen.setdefault(site, Values())
        values.low, values.high = min(values.low, low), max(values.high, high)

    def count(site: Site, tensor: Tensor) -> None:
        values = seen[site]
        if values.low < values.high:
            values.counts += torch.histc(tensor.float(), BINS, values.low, values.high).double()

    for look in (stretch, count) if histograms else (stretch,):
        with looking(model, sites, look):
            for image in images:
                model([image])
    return seen


@contextmanager
def looking(model: nn.Module, sites: Sequence[Site], look: Callable[[Site, Tensor], None]) -> Iterator[None]:
    """Call `look` with every tensor that passes the sites while the block runs, unless it is empty."""

    def see(site: Site, tensor: Tensor) -> None:
        if tensor.numel():
            look(site, tensor)

    with ExitStack() as stack:
        for site in sites:
            module = model.get_submodule(site[0])
            if site[1] == "input":
                hook = module.register_forward_pre_hook(lambda _, args, site=site: see(site, args[0]))
            else:
                hook = module.register_forward_hook(lambda _, args, result, site=site: see(site, result))
            stack.callback(hook.remove)
        yield


def grid_between(low: float, high: float, bits: int) -> Grid:
    """The grid from low to high that has 0 on it."""
    most = 2**bits - 1
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / most, TINY))) if high > low else 1.0
    return Grid(bits, scale, min(max(round(-low / scale), 0), most))


def by_percentile(values: Values, bits: int, percentile: float) -> Grid:
    """Without the values beyond the percentile on either side, to a bin's width (Wu et al., 2020)."""
    shares = values.counts.cumsum(0) / values.counts.sum().clamp_min(1)
    outside = 1 - percentile / 100
    step = (values.high - values.low) / BINS
    below = int((shares <= outside).sum())
    above = int((shares < 1 - outside).sum())
    return grid_between(values.low + step * below, values.low + step * min(above + 1, BINS), bits)


def by_error(values: Values, bits: int) -> Grid:
    """The part of the range of least squared error (Banner et al., NeurIPS 2019, by search)."""
    step = (values.high - values.low) / BINS
    centres = (values.low + step * (torch.arange(BINS, dtype=torch.float64) + 0.5)).float()
    grids = [grid_between(values.low * part, values.high * part, bits) for part in SHRUNK.tolist()]
    errors = [float((values.counts * (grid(centres) - centres).double().square()).sum()) for grid in grids]
    return grids[min(range(len(grids)), key=errors.__getitem__)]


def grids(seen: Mapping[Site, Values], calibrator: str, bits: int, percentile: float) -> dict[Site, Grid]:
    """The grid of each site."""
    by: dict[str, Callable[[Values, int], Grid]] = {
        "minmax": lambda values, bits: grid_between(values.low, values.high, bits),  # Jacob et al., CVPR 2018
        "percentile": partial(by_percentile, percentile=percentile),
        "mse": by_error,
    }
    return {site: by[calibrator](values, bits) for site, values in seen.items()}


def scales(weight: Tensor, bits: int, axis: int, rounding: str) -> Tensor:
    """The scale of each channel of a weight (along `axis`), float32 `[channels]`; 1 where all weights are zero.

    With "minmax", the largest magnitude gets the largest code (Krishnamoorthi, 2018). With "mse", it is the part of
    that scale in `SHRUNK_WEIGHTS` with the least squared error.
    """
    rows = weight.detach().movedim(axis, 0).flatten(1).float()
    largest = rows.abs().amax(1)
    tiny = torch.finfo(torch.float32).tiny
    whole = torch.where(largest > 0, largest / most_of(bits), 1.0).clamp_min(tiny)
    if rounding == "minmax":
        return whole
    best, least = whole, torch.full_like(whole, float("inf"))
    for part in SHRUNK_WEIGHTS.flip(0):
        tried = (whole * part).clamp_min(tiny)
        error = to_codes(rows, tried, bits, 0).mul_(tried[:, None]).sub_(rows).square_().sum(1)
        best, least = torch.where(error < least, tried, best), torch.minimum(error, least)
    return best


def least_scales(bias: Tensor, entering: float) -> Tensor:
    """The scales of weights below which a channel's bias is too large for integer kernels.

    They add the bias as a 32-bit code in units of the product of the scales of weights and input. A channel that a norm
    has all but closed has weights near zero and a bias that is not: its code overflows, and ONNX Runtime returns
    nonsense. A larger scale costs such weights nothing.

    Example:
        >>> least_scales(torch.tensor([2.0**30, 0.0]), entering=0.5)
        tensor([2., 0.])
    """
    return bias.abs() / (entering * LARGEST_BIAS)


def to_codes(weight: Tensor, scale: Tensor, bits: int, axis: int) -> Tensor:
    """The nearest codes, as floats of the weight's shape."""
    steps = scale.reshape([-1 if side == axis else 1 for side in range(weight.dim())])
    return (weight / steps).round_().clamp_(-most_of(bits), most_of(bits))


def most_of(bits: int) -> int:
    """The largest code: the range is symmetric, so that negative and positive weights are rounded alike."""
    return int(2 ** (bits - 1) - 1)


@torch.no_grad()
def mean_inputs(model: nn.Module, images: Sequence[Tensor], layers: Iterable[str]) -> dict[str, Tensor]:
    """Mean of each layer's input over images and positions, float32 `[channels]`; without layers that had no input."""
    sums: dict[str, Tensor] = {}
    numbers: dict[str, int] = {}

    def add(site: Site, entering: Tensor) -> None:
        channels = entering.transpose(0, 1) if entering.dim() == 4 else entering.flatten(0, -2).T
        sums[site[0]] = sums.get(site[0], 0) + channels.flatten(1).sum(1, dtype=torch.float64)
        numbers[site[0]] = numbers.get(site[0], 0) + entering.numel() // channels.shape[0]

    with looking(model, [(name, "input") for name in layers], add):
        for image in images:
            model([image])
    return {name: (total / numbers[name]).float() for name, total in sums.items()}


def moved(layer: nn.Module, change: Tensor, mean: Tensor) -> Tensor | None:
    """By how much a change of a layer's weight moves its mean result, away from padding: `[output channels]`.

    It depends on the mean input `[channels]`. None for a transposed convolution, where it depends on the position too.
    """
    if isinstance(layer, nn.ConvTranspose2d):
        return None
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    entering = mean.reshape(groups, -1).repeat_interleave(len(change) // groups, 0)
    return (change.flatten(2).sum(2) if change.dim() > 2 else change).mul(entering).sum(1)
