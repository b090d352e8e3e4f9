"""Calibration: from what passes through a detector on some images to the grids that its activations are rounded to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.errors import RecipeError
from wildbench.submissions.archive import TINY, Grid

Calibrator = Literal["minmax", "percentile", "mse"]
Site = tuple[str, str]
"""A module, and "input" or "output"."""

BINS = 2048
"""Of a histogram, as in TensorRT's and ONNX Runtime's calibrators."""

SHRUNK = torch.linspace(0.2, 1.0, 81)
"""Parts of the whole range among which the one of least squared error is sought."""


@dataclass
class Values:
    """What passed one site.

    Attributes:
        low: Least value, at most 0.
        high: Largest value, at least 0.
        counts: Of the values in `BINS` equal parts of low to high, float64.
    """

    low: float = 0.0
    high: float = 0.0
    counts: Tensor = field(default_factory=lambda: torch.zeros(BINS, dtype=torch.float64))

    @property
    def centres(self) -> Tensor:
        """Middle of each bin, float64."""
        step = (self.high - self.low) / BINS
        return self.low + step * (torch.arange(BINS, dtype=torch.float64) + 0.5)


def calibration_images(data: Dataset, number: int) -> list[Tensor]:
    """Images evenly spaced through a data set: float32, 3 x H x W, 0 to 1.

    Raises:
        RecipeError: There are none.
    """
    if not data.images:
        raise RecipeError(f"{data.name}: no image to calibrate with", remedy="calibrate with a training split")
    chosen = np.unique(np.linspace(0, len(data.images) - 1, number).round().astype(int))
    return opened(data, chosen.tolist())


def opened(data: Dataset, indices: Iterable[int]) -> list[Tensor]:
    """Images of a data set as detectors take them: float32, 3 x H x W, 0 to 1."""
    paths = [data.image_path(data.images[index]) for index in indices]
    return [torch.from_numpy(decode(path).copy()).permute(2, 0, 1).float() / 255 for path in paths]


@torch.no_grad()
def observe(model: nn.Module, images: Sequence[Tensor], sites: Sequence[Site], histograms: bool) -> dict[Site, Values]:
    """See what passes the sites of a detector.

    Args:
        model: In eval mode.
        images: Shown one by one; twice where histograms are asked for.
        sites: Where to look. One that nothing passes (a mask head where nothing is found) is left out.
        histograms: Whether to count values, or only find the range.

    Raises:
        RecipeError: A value is not finite.
    """
    found: dict[Site, Values] = {}

    def stretch(site: Site, tensor: Tensor) -> None:
        low, high = (float(bound) for bound in tensor.aminmax())
        if not np.isfinite([low, high]).all():
            raise RecipeError(f"{site[0]}: its {site[1]} is not finite on a calibration image", remedy="train it again")
        values = found.setdefault(site, Values())
        values.low, values.high = min(values.low, low), max(values.high, high)

    def count(site: Site, tensor: Tensor) -> None:
        values = found[site]
        if values.low < values.high:
            values.counts += torch.histc(tensor.float(), BINS, values.low, values.high).double()

    for look in (stretch, count) if histograms else (stretch,):
        with looking(model, sites, look):
            for image in images:
                model([image])
    return found


@contextmanager
def looking(model: nn.Module, sites: Sequence[Site], look: Callable[[Site, Tensor], None]) -> Iterator[None]:
    """Call `look` with whatever passes the sites while the block runs; empty tensors are left out."""

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
    """The grid from low to high that has 0 on it.

    Example:
        >>> grid_between(-1.0, 2.0, 2)
        Grid(bits=2, scale=1.0, zero_point=1)
    """
    most = 2**bits - 1
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / most, TINY))) if high > low else 1.0
    return Grid(bits, scale, min(max(round(-low / scale), 0), most))


def by_range(values: Values, bits: int) -> Grid:
    """From the least to the largest value (Jacob et al., CVPR 2018)."""
    return grid_between(values.low, values.high, bits)


def by_percentile(values: Values, bits: int, percentile: float) -> Grid:
    """Without the outermost values on either side (Wu et al., 2020): those beyond the percentile, to a bin's width."""
    shares = values.counts.cumsum(0) / values.counts.sum().clamp_min(1)
    outside = 1 - percentile / 100
    step = (values.high - values.low) / BINS
    below = int((shares <= outside).sum())
    above = int((shares < 1 - outside).sum())
    return grid_between(values.low + step * below, values.low + step * min(above + 1, BINS), bits)


def by_error(values: Values, bits: int) -> Grid:
    """Of the part of the range that gives the least squared error (Banner et al., NeurIPS 2019, by search)."""
    grids = [grid_between(values.low * part, values.high * part, bits) for part in SHRUNK.tolist()]
    centres = values.centres.float()
    errors = [float((values.counts * (grid(centres) - centres).double().square()).sum()) for grid in grids]
    return grids[min(range(len(grids)), key=errors.__getitem__)]


def grids(found: Mapping[Site, Values], calibrator: Calibrator, bits: int, percentile: float) -> dict[Site, Grid]:
    """The grid of each site."""
    if calibrator == "minmax":
        return {site: by_range(values, bits) for site, values in found.items()}
    if calibrator == "mse":
        return {site: by_error(values, bits) for site, values in found.items()}
    return {site: by_percentile(values, bits, percentile) for site, values in found.items()}
