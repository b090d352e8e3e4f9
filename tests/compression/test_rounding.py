"""Scales of weights beside closed forms, brute force and torch's own quantizer."""

import pytest
import torch
from torch import Tensor

from wildbench.compression.quantization._rounding import SHRUNK, most_of, scales, to_codes


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
        tried = channel.abs().max() / most_of(bits) * SHRUNK
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
