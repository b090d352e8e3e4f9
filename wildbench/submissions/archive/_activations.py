"""Quantized activations: the grids that tensors between layers are rounded to, in a file and in a running detector.

A detector is measured as it would run in integers: what enters or leaves a layer is rounded to the grid and goes on as
a float ("fake quantization", Jacob et al., CVPR 2018).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.errors import SubmissionError
from wildbench.submissions.archive._container import inflate
from wildbench.submissions.codecs import require

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers whose input may be quantized."""

NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)
"""Modules that fold into the layer before them, whose result is then theirs."""

SIDES = ("input", "output")

TINY, HUGE = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Grid:
    """Numbers that 2^bits codes stand for: scale x (q - zero_point), q from 0 to 2^bits - 1.

    Codes are unsigned; where values are never negative the zero point is 0.

    Attributes:
        bits: 2 to 8.
        scale: Positive; a float32.
        zero_point: The code of 0.

    Example:
        >>> Grid(bits=2, scale=0.5, zero_point=1)(torch.tensor([-9.0, 0.2, 0.3, 9.0])).tolist()
        [-0.5, 0.0, 0.5, 1.0]
    """

    bits: int
    scale: float
    zero_point: int

    def __call__(self, values: Tensor) -> Tensor:
        """Values rounded to the grid."""
        return torch.fake_quantize_per_tensor_affine(values, self.scale, self.zero_point, 0, 2**self.bits - 1)


@dataclass(frozen=True)
class Activation:
    """The grids of one module, or None for what stays as it is.

    Attributes:
        input: Of what enters; for convolutions and linear layers.
        output: Of what leaves; for these, and for batch norms, which fold into them.
    """

    input: Grid | None = None
    output: Grid | None = None


def attach(model: nn.Module, activations: Mapping[str, Activation]) -> None:
    """Make a detector round its activations from now on, by hooks.

    Args:
        model: Changed in place.
        activations: By module.

    Example:
        >>> model = nn.Sequential(nn.Linear(1, 1, bias=False))
        >>> _ = nn.init.ones_(model[0].weight)
        >>> attach(model, {"0": Activation(input=Grid(bits=2, scale=1.0, zero_point=0))})
        >>> model(torch.tensor([1.4])).item()
        1.0
    """
    for name, activation in activations.items():
        module = model.get_submodule(name)
        if activation.input is not None:
            module.register_forward_pre_hook(lambda _, args, grid=activation.input: (grid(args[0]), *args[1:]))
        if activation.output is not None:
            module.register_forward_hook(lambda _, args, result, grid=activation.output: grid(result))


def pack(activations: Mapping[str, Activation]) -> bytes:
    """As a file holds them: deflated JSON {module: {"input": [bits, scale, zero point], "output": ...}}.

    Scales are the shortest decimals that name their float32.
    """
    plain = {
        name: {side: _plain(grid) for side in SIDES if (grid := getattr(activation, side)) is not None}
        for name, activation in activations.items()
    }
    return zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 9)


def unpack(data: bytes, sites: Mapping[str, frozenset[str]], where: str) -> dict[str, Activation]:
    """What `pack` packed.

    Args:
        data: Untrusted.
        sites: "input" and "output": the modules that may have such a grid.
        where: The file, for the message.

    Raises:
        SubmissionError: It is damaged, names other modules, or a grid is none.
    """
    try:
        plain = json.loads(inflate(data))
        require(isinstance(plain, dict) and bool(plain), "not a list of modules")
        return {name: _activation(name, sides, sites) for name, sides in plain.items()}
    except (ValueError, TypeError, RecursionError, MemoryError, zlib.error) as error:
        raise SubmissionError(
            f"{where}: damaged activations ({str(error)[:200]})", code="damaged", remedy="save the submission again"
        ) from None


def widest(activations: Mapping[str, Activation]) -> int:
    """Bits of the finest grid of an input; 32 where no input has one.

    Example:
        >>> widest({"0": Activation(input=Grid(8, 1.0, 0)), "1": Activation(input=Grid(4, 1.0, 0))})
        8
    """
    bits = [activation.input.bits for activation in activations.values() if activation.input is not None]
    return max(bits, default=32)


def _plain(grid: Grid) -> list[float]:
    return [grid.bits, float(str(np.float32(grid.scale))), grid.zero_point]


def _activation(name: str, sides: Any, sites: Mapping[str, frozenset[str]]) -> Activation:  # noqa: ANN401 - untrusted
    require(isinstance(sides, dict) and bool(sides), f"{name[:80]} has no grid")
    for side in sides:
        known = name in sites.get(side, frozenset())
        require(known, f"the detector has no {side[:8]} of {name[:80]} to quantize")
    return Activation(**{side: _grid(values, name) for side, values in sides.items()})


def _grid(values: Any, name: str) -> Grid:  # noqa: ANN401 - untrusted
    require(isinstance(values, list) and len(values) == 3, f"{name} has no grid")
    bits, scale, zero_point = values
    require(type(bits) is int and 2 <= bits <= 8, f"{name}: bits outside 2..8")
    require(type(scale) in (int, float), f"{name}: a scale that is not a number")
    require(TINY <= scale <= HUGE, f"{name}: a scale that is not positive and finite")
    require(type(zero_point) is int and 0 <= zero_point < 2**bits, f"{name}: a zero point beyond {bits} bits")
    return Grid(bits, float(np.float32(scale)), zero_point)
