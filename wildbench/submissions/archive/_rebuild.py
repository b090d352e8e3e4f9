"""Rebuilding the detector that a manifest names, in the widths of the stored tensors.

A structurally pruned network needs no code in its file: channels that were removed show in the shapes of the weights.
The network is built by name in its full width, and each layer then takes the shape that is stored for it. What a shape
does not tell is how a normalisation's channels are grouped: groups keep their size, as 256 channels in 32 groups become
128 in 16, unless the file says otherwise.
"""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import FrozenBatchNorm2d

from wildbench.detectors import zoo
from wildbench.errors import RecipeError, SubmissionError
from wildbench.submissions.archive._container import inflate
from wildbench.submissions.codecs import MOST_ELEMENTS, require
from wildbench.submissions.manifest import Manifest

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers whose input may be quantized."""

NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)
"""Modules that fold into the layer before them, whose result is then theirs."""

SIDES = ("input", "output")

RANDOM = (Tensor.normal_, Tensor.uniform_)

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
    """Make a detector round its activations, by module, from now on; hooks change it in place.

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
    """What `pack` packed; `sites` has the modules that may have a grid on their "input" and "output".

    Raises SubmissionError where it is damaged, names other modules, or a grid is invalid.
    """
    try:
        plain = json.loads(inflate(data))
        require(isinstance(plain, dict) and bool(plain), "not a list of modules")
        return {name: _activation(name, sides, sites) for name, sides in plain.items()}
    except (ValueError, TypeError, RecursionError, MemoryError, zlib.error) as error:
        problem = f"{where}: damaged activations ({str(error)[:200]})"
        raise SubmissionError(problem, code="damaged", remedy="save the submission again") from None


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


Shape = tuple[int, ...]

SHOWN = 3
"""Tensors named in a message."""

SMALL_IMAGE = 128
"""Side, in pixels, of the image on which a narrowed network is tried."""


def build(manifest: Manifest, where: str) -> nn.Module:
    """The detector in full width, with random weights."""
    arguments: dict[str, Any] = {**manifest.detector.arguments, "init": "random"}
    with _named_by(where):
        return zoo.build(manifest.detector.name, len(manifest.categories), **arguments)


@contextlib.contextmanager
def _named_by(where: str) -> Iterator[None]:
    """The zoo's errors are errors of the file that names the detector."""
    try:
        yield
    except RecipeError as error:
        raise SubmissionError(f"{where}: {error.what}", code="unknown-detector", remedy=error.remedy) from None


@dataclass(frozen=True)
class Plan:
    """What a detector is like in full width.

    Attributes:
        shapes: Of the tensors of its state dict, by name.
        parameters: Names of those that are parameters; the others are buffers.
        groups: Of its group normalisations, by layer: number of groups, number of channels.
        sites: "input" and "output": modules whose activations may be quantized.
    """

    shapes: Mapping[str, Shape]
    parameters: frozenset[str]
    groups: Mapping[str, tuple[int, int]]
    sites: Mapping[str, frozenset[str]]


def plan(manifest: Manifest, where: str, more_categories: int = 0) -> Plan:
    """What the manifest's detector is like, perhaps with more categories; takes no memory for its tensors.

    Raises SubmissionError where the zoo has no such detector, or it is larger than any detector should be.
    """
    arguments = json.dumps(manifest.detector.arguments, sort_keys=True)
    with _named_by(where):
        detector = _plan(manifest.detector.name, arguments, len(manifest.categories) + more_categories)
    elements = sum(math.prod(shape) for shape in detector.shapes.values())
    if elements > MOST_ELEMENTS:
        problem = f"{where}: a detector of {elements:,} numbers, more than {MOST_ELEMENTS:,}"
        raise SubmissionError(problem, code="too-large", remedy="check the detector's arguments")
    return detector


class _NoInitialValues(TorchFunctionMode):
    """Leaves out the random initial values, for which torch would import its compiler on the meta device."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        if function in RANDOM or getattr(function, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return function(*args, **(kwargs or {}))


@lru_cache(maxsize=32)
def _plan(name: str, arguments: str, categories: int) -> Plan:
    with torch.device("meta"), _NoInitialValues():
        model = zoo.build(name, categories, **{**json.loads(arguments), "init": "random"})
    norms = {path: module for path, module in model.named_modules() if isinstance(module, nn.GroupNorm)}
    sites = {
        side: frozenset(path for path, module in model.named_modules() if isinstance(module, kind))
        for side, kind in {"input": LAYERS, "output": (*LAYERS, *NORMS)}.items()
    }
    return Plan(
        shapes=MappingProxyType(shapes_of(model.state_dict())),
        parameters=frozenset(name for name, _ in model.named_parameters()),
        groups=MappingProxyType({path: (norm.num_groups, norm.num_channels) for path, norm in norms.items()}),
        sites=MappingProxyType(sites),
    )


def shapes_of(state: Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    """Shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def check_fit(shapes: Mapping[str, Shape], manifest: Manifest, where: str) -> bool:
    """Check that tensors have the names and shapes of the manifest's detector, or these with channels removed.

    Returns whether channels were removed; a SubmissionError names the first few tensors that do not fit.
    """
    expected = plan(manifest, where).shapes
    if shapes == expected:
        return False
    other = plan(manifest, where, more_categories=1).shapes  # shows what depends on the categories
    both = [name for name in expected if name in shapes]
    wrong = [name for name in both if not fits(shapes[name], expected[name], other[name])]
    suspects = {
        "missing": [name for name in expected if name not in shapes],
        "unexpected": [name for name in shapes if name not in expected],
        "of a wrong shape": [f"{name} {list(shapes[name])} not {list(expected[name])}" for name in wrong],
    }
    problems = [f"{len(names)} {what} ({_first(names)})" for what, names in suspects.items() if names]
    if problems:
        problem = f"{where}: the tensors do not fit the detector: {', '.join(problems)}"
        remedy = "name the detector, arguments and categories that it was trained with"
        raise SubmissionError(problem, code="tensors", remedy=remedy)
    return True


def rebuild_with(
    manifest: Manifest, tensors: Mapping[str, torch.Tensor], groups: Mapping[str, int], where: str
) -> nn.Module:
    """The detector in the widths of its tensors, with these, in eval mode on the CPU.

    Where channels were removed it is run once on a small image. Raises SubmissionError where the zoo has no such
    detector, or the tensors do not fit it or each other.
    """
    shapes = shapes_of(tensors)
    narrowed = check_fit(shapes, manifest, where)
    model = build(manifest, where)
    if narrowed:
        try:
            narrow(model, shapes, groups)
        except ValueError as error:
            problem = f"{where}: its narrowed layers are impossible ({error})"
            raise SubmissionError(problem, code="widths", remedy="remove whole groups of channels") from None
    model.load_state_dict(dict(tensors))
    if narrowed:
        try_out(model, where)
    return model.eval()


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def fits(shape: Shape, expected: Shape, other: Shape) -> bool:
    """Whether a tensor could be one of the detector's with some channels removed.

    `other` is its shape for another number of categories: a side that depends on it stays whole.

    Example:
        >>> fits((8, 3, 3, 3), (16, 3, 3, 3), (16, 3, 3, 3)), fits((8, 3, 3, 3), (16, 3, 3, 3), (18, 3, 3, 3))
        (True, False)
    """
    if shape == expected:
        return True
    if len(shape) != len(expected) or shape[2:] != expected[2:]:
        return False
    sides = zip(shape[:2], expected[:2], other[:2], strict=True)
    return all(side == full or (full == elsewhere and 1 <= side < full) for side, full, elsewhere in sides)


def narrow(model: nn.Module, shapes: Mapping[str, Shape], groups: Mapping[str, int]) -> None:
    """Give each layer of a model in full width the shape that is stored for it; its values are not set.

    Raises ValueError where the channels of a convolution or normalisation do not divide into groups.
    """
    for path, module in model.named_modules():
        before = {name: tuple(tensor.shape) for name, tensor in _own(module)}
        after = {name: shapes[f"{path}.{name}" if path else name] for name in before}
        if before == after:
            continue
        for name, tensor in _own(module):
            fresh = torch.zeros(after[name], dtype=tensor.dtype, device=tensor.device)
            if isinstance(tensor, nn.Parameter):
                module.register_parameter(name, nn.Parameter(fresh, requires_grad=tensor.requires_grad))
            else:
                module.register_buffer(name, fresh)
        _describe(module, after, groups.get(path))


def groups_of(model: nn.Module, full: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """Groups of a network's normalisations that differ from the rule; `full` has groups and channels in full width."""
    norms = {path: module for path, module in model.named_modules() if isinstance(module, nn.GroupNorm)}
    usual = {path: _groups(norm.num_channels, *full[path]) for path, norm in norms.items() if path in full}
    return {path: norms[path].num_groups for path, groups in usual.items() if norms[path].num_groups != groups}


def try_out(model: nn.Module, where: str) -> None:
    """Run a narrowed network once on a small image, to see whether its layers fit each other."""
    transform = getattr(model, "transform", None)
    if not isinstance(transform, GeneralizedRCNNTransform):
        problem = f"{where}: channels were removed, and without a torchvision `transform` it cannot be tried out"
        raise SubmissionError(problem, code="widths", remedy="store it in full width")
    sizes, training = (transform.min_size, transform.max_size), model.training
    try:
        transform.min_size, transform.max_size = (SMALL_IMAGE,), SMALL_IMAGE
        with torch.inference_mode():
            model.eval()([torch.zeros(3, SMALL_IMAGE, SMALL_IMAGE)])
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        problem = f"{where}: its narrowed layers do not fit each other ({str(error)[:200]})"
        remedy = "remove a channel from every layer that makes or reads it"
        raise SubmissionError(problem, code="widths", remedy=remedy) from None
    finally:
        model.train(training)
        transform.min_size, transform.max_size = sizes


def _own(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Parameters and stored buffers of a module itself."""
    own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
    return [(name, tensor) for name, tensor in own.items() if name not in module._non_persistent_buffers_set]


def _describe(module: nn.Module, shapes: Mapping[str, Shape], groups: int | None) -> None:
    """Make the numbers that a layer has beside its tensors agree with their shapes."""
    if isinstance(module, nn.ConvTranspose2d):
        module.in_channels, module.out_channels = shapes["weight"][0], shapes["weight"][1] * module.groups
        _check_groups(module.in_channels, module.groups)
    elif isinstance(module, nn.Conv2d):
        if module.groups > 1 and module.groups == module.in_channels:  # depthwise
            module.groups = shapes["weight"][0] * module.groups // module.out_channels
        module.out_channels, module.in_channels = shapes["weight"][0], shapes["weight"][1] * module.groups
        _check_groups(module.out_channels, module.groups)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = shapes["weight"]
    elif isinstance(module, nn.BatchNorm2d):
        module.num_features = shapes["weight"][0]
    elif isinstance(module, nn.GroupNorm):
        module.num_groups = groups or _groups(shapes["weight"][0], module.num_groups, module.num_channels)
        module.num_channels = shapes["weight"][0]
        _check_groups(module.num_channels, module.num_groups)


def _groups(channels: int, full_groups: int, full_channels: int) -> int:
    """As many groups of the full network's size as there are."""
    return max(1, channels * full_groups // full_channels)


def _check_groups(channels: int, groups: int) -> None:
    if groups < 1 or channels % groups:
        raise ValueError(f"{channels} channels in {groups} groups")
