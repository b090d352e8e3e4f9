"""The grids of activations and weights, against brute force."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refused
from torch import Tensor, nn

from wildbench.compression.methods._calibration import (
    BINS,
    SHRUNK,
    SHRUNK_WEIGHTS,
    Values,
    by_error,
    by_percentile,
    calibration_images,
    grid_between,
    grids,
    mean_inputs,
    most_of,
    moved,
    observe,
    scales,
    to_codes,
)
from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode

SITE = ("0", "input")


class Taking(nn.Module):
    """A detector of one layer, whose input is the image's values."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("0", nn.Linear(1, 1))

    def forward(self, images: list[Tensor]) -> Tensor:
        out: Tensor = self.get_submodule("0")(images[0].reshape(-1, 1))
        return out


def seen(values: Tensor, histograms: bool = True) -> Values:
    """As two images would be seen."""
    return observe(Taking(), list(values.chunk(2)), [SITE], histograms)[SITE]


@pytest.fixture
def values() -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.cat([torch.randn(20_000, generator=random), torch.tensor([30.0, -11.0])])


@pytest.mark.parametrize(
    ("low", "high", "bits", "scale", "zero_point"),
    [(0, 2.55, 8, 0.01, 0), (-1, 2, 2, 1, 1), (3, 6, 8, 6 / 255, 0), (-6, -3, 8, 6 / 255, 255), (0, 0, 8, 1, 0)],
)
def test_a_range_by_hand(low: float, high: float, bits: int, scale: float, zero_point: int) -> None:
    grid = grid_between(low, high, bits)
    assert (grid.bits, grid.zero_point) == (bits, zero_point)
    assert grid.scale == float(np.float32(scale))
    assert grid(torch.zeros(1)).item() == 0.0, "zero is exact: padding and ReLU make many"


def test_the_whole_range_is_that_of_all_images(values: Tensor) -> None:
    found = seen(values, histograms=False)
    assert (found.low, found.high) == (-11.0, 30.0)
    assert grids({SITE: found}, "minmax", 8, 99.0)[SITE] == grid_between(-11.0, 30.0, 8)
    assert seen(values).counts.sum() == len(values)


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99])
def test_a_percentile_is_that_of_the_values_to_a_bin(values: Tensor, percentile: float) -> None:
    found = seen(values)
    bin_width = 41 / BINS
    grid = by_percentile(found, 8, percentile)
    low, high = torch.quantile(values, torch.tensor([1 - percentile / 100, percentile / 100]), interpolation="nearest")
    assert -grid.zero_point * grid.scale == pytest.approx(float(low), abs=1.5 * bin_width + grid.scale / 2)
    assert (255 - grid.zero_point) * grid.scale == pytest.approx(float(high), abs=1.5 * bin_width + grid.scale / 2)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_least_error_is_found_as_by_brute_force(values: Tensor, bits: int) -> None:
    grids = [grid_between(-11.0 * part, 30.0 * part, bits) for part in SHRUNK.tolist()]
    errors = [float((grid(values) - values).double().square().mean()) for grid in grids]
    chosen = by_error(seen(values), bits)
    error = float((chosen(values) - values).double().square().mean())
    assert error <= 1.02 * min(errors)
    assert error < errors[-1], "the whole range wastes codes on two outliers"


def test_values_that_are_never_negative_get_a_zero_point_of_zero(values: Tensor) -> None:
    found = seen(values.relu())
    for calibrator in ("minmax", "percentile", "mse"):
        assert grids({SITE: found}, calibrator, 8, 99.9)[SITE].zero_point == 0


def test_what_is_not_finite_is_refused() -> None:
    with refused("recipe/not-finite", "0: its input"):
        seen(torch.tensor([1.0, float("nan")]))


def test_what_nothing_passes_has_no_range() -> None:
    assert observe(Taking(), [torch.zeros(0, 1)], [SITE], histograms=True) == {}


def test_images_are_spaced_evenly_and_come_as_a_detector_takes_them(tmp_path: Path) -> None:
    entries = []
    for index in range(5):
        Image.new("RGB", (12, 8), (40 * index, 10, 200)).save(tmp_path / f"{index}.png")
        entries.append({"id": index, "file_name": f"{index}.png", "width": 12, "height": 8})
    data = Dataset("tiny", "train", {"images": entries, "categories": [], "annotations": []}, tmp_path)
    images = calibration_images(data, 3)
    expected = [decode(tmp_path / f"{index}.png") for index in (0, 2, 4)]
    for image, pixels in zip(images, expected, strict=True):
        assert image.shape == (3, 8, 12)
        assert np.array_equal((image * 255).round().permute(1, 2, 0).numpy(), pixels)
    assert len(calibration_images(data, 32)) == 5
    with refused("recipe/no-images", "tiny: "):
        calibration_images(data.take(0), 3)


@pytest.fixture
def weight() -> Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.randn(6, 4, 3, 3, generator=random) * torch.logspace(-3, 2, 6)[:, None, None, None]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_largest_magnitude_gets_the_largest_code(weight: Tensor, bits: int) -> None:
    scale = scales(weight, bits, 0, "minmax")
    assert torch.equal(scale, weight.abs().amax((1, 2, 3)) / (2 ** (bits - 1) - 1))
    codes = to_codes(weight, scale, bits, 0)
    assert torch.equal(codes.abs().amax((1, 2, 3)), torch.full((6,), float(most_of(bits))))
    zeros = torch.zeros(6, dtype=torch.int32)
    rounded = torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -most_of(bits), most_of(bits))
    assert torch.allclose(codes * scale[:, None, None, None], rounded, rtol=1e-6)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_the_least_squared_error_is_found_as_by_brute_force(weight: Tensor, bits: int) -> None:
    found = scales(weight, bits, 0, "mse")
    for channel, scale in zip(weight, found, strict=True):
        tried = channel.abs().max() / most_of(bits) * SHRUNK_WEIGHTS
        errors = [
            ((channel / one).round().clamp(-most_of(bits), most_of(bits)) * one - channel).square().sum()
            for one in tried
        ]
        assert float(scale) == pytest.approx(float(tried[int(torch.stack(errors).argmin())]), rel=1e-6)


def test_channels_may_be_on_the_second_axis(weight: Tensor) -> None:
    assert torch.equal(scales(weight.transpose(0, 1), 4, 1, "mse"), scales(weight, 4, 0, "mse"))
    assert torch.equal(to_codes(weight.transpose(0, 1), scales(weight, 4, 0, "minmax"), 4, 1).transpose(0, 1),
                       to_codes(weight, scales(weight, 4, 0, "minmax"), 4, 0))  # fmt: skip


def test_a_channel_of_zeros_stays_zero_and_one_of_the_least_numbers_has_a_scale() -> None:
    weight = torch.tensor([[0.0, 0.0], [1e-44, 0.0]])
    for rounding in ("minmax", "mse"):
        scale = scales(weight, 8, 0, rounding)
        assert (scale > 0).all()
        assert to_codes(weight, scale, 8, 0)[0].tolist() == [0, 0]


class Applied(nn.Module):
    """A detector that is one layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, images: list[Tensor]) -> Tensor:
        out: Tensor = self.layer(images[0])
        return out


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 6, 1), (1, 4, 9, 7)),
        (nn.Conv2d(4, 8, 1, groups=2, bias=False), (1, 4, 9, 7)),
        (nn.Conv2d(4, 4, 3, groups=4), (1, 4, 3, 3)),
        (nn.Linear(5, 3), (11, 5)),
    ],
    ids=["convolution", "grouped", "depthwise", "linear"],
)
def test_the_mean_moves_by_so_much(layer: nn.Module, shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    images = [torch.rand(shape, generator=random) for _ in range(3)]
    if layer.weight.shape[-1] == 3:  # as many positions for each weight as for its channel's mean
        images = [image.mean((2, 3), keepdim=True).expand(shape) for image in images]
    model = Applied(layer)
    means = mean_inputs(model, images, ["layer"])
    axis = (0, 2, 3) if len(shape) == 4 else (0,)
    assert torch.allclose(means["layer"], torch.stack([image.mean(axis) for image in images]).mean(0), atol=1e-6)

    def result() -> Tensor:
        return torch.stack([model([image]).mean(axis) for image in images]).mean(0)

    with torch.no_grad():
        before = result()
        change = torch.randn(layer.weight.shape, generator=random)
        layer.weight += change
        found = moved(layer, change, means["layer"])
        assert found is not None
        assert torch.allclose(result() - before, found, atol=1e-5)


def test_a_transposed_convolution_is_left_alone() -> None:
    layer = nn.ConvTranspose2d(2, 2, 2, 2)
    assert moved(layer, torch.ones(2, 2, 2, 2), torch.ones(2)) is None
