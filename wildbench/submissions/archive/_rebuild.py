"""Rebuilding the detector that a manifest names, in the widths of the stored tensors.

A structurally pruned network needs no code in its file: channels that were removed show in the shapes of the weights.
The network is built by name in its full width, and each layer then takes the shape that is stored for it. What a shape
does not tell is how a normalisation's channels are grouped: groups keep their size, as 256 channels in 32 groups become
128 in 16, unless the file says otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from wildbench.detectors import zoo
from wildbench.errors import RecipeError, SubmissionError
from wildbench.submissions.archive._activations import LAYERS, NORMS
from wildbench.submissions.codecs import MOST_ELEMENTS
from wildbench.submissions.contract import Manifest

Shape = tuple[int, ...]

SHOWN = 3
"""So many tensors are named in a message."""

SMALL_IMAGE = 128
"""Pixels a side of the image by which a narrowed network is tried."""


def build(manifest: Manifest, where: str) -> nn.Module:
    """The detector in full width, with random weights.

    Raises:
        SubmissionError: The zoo has no such detector.
    """
    arguments: dict[str, Any] = {**manifest.detector.arguments, "init": "random"}
    try:
        return zoo.build(manifest.detector.name, len(manifest.categories), **arguments)
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
    """What the manifest's detector is like, told without memory for its tensors.

    Args:
        manifest: Names it.
        where: The file, for the message.
        more_categories: Beyond the manifest's.

    Raises:
        SubmissionError: The zoo has no such detector, or it is larger than any detector should be.
    """
    arguments = json.dumps(manifest.detector.arguments, sort_keys=True)
    try:
        detector = _plan(manifest.detector.name, arguments, len(manifest.categories) + more_categories)
    except RecipeError as error:
        raise SubmissionError(f"{where}: {error.what}", code="unknown-detector", remedy=error.remedy) from None
    elements = sum(math.prod(shape) for shape in detector.shapes.values())
    if elements > MOST_ELEMENTS:
        raise SubmissionError(
            f"{where}: a detector of {elements:,} numbers, more than {MOST_ELEMENTS:,}",
            code="too-large",
            remedy="check the detector's arguments",
        )
    return detector


@lru_cache(maxsize=32)
def _plan(name: str, arguments: str, categories: int) -> Plan:
    with torch.device("meta"):
        model = zoo.build(name, categories, **{**json.loads(arguments), "init": "random"})
    norms = {path: module for path, module in model.named_modules() if isinstance(module, nn.GroupNorm)}
    kinds = {"input": LAYERS, "output": (*LAYERS, *NORMS)}
    return Plan(
        shapes=MappingProxyType(shapes_of(model.state_dict())),
        parameters=frozenset(name for name, _ in model.named_parameters()),
        groups=MappingProxyType({path: (norm.num_groups, norm.num_channels) for path, norm in norms.items()}),
        sites=MappingProxyType(
            {
                side: frozenset(path for path, module in model.named_modules() if isinstance(module, kind))
                for side, kind in kinds.items()
            }
        ),
    )


def shapes_of(state: Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    """Shapes by name.

    Example:
        >>> shapes_of({"weight": torch.zeros(3, 5)})
        {'weight': (3, 5)}
    """
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def check_fit(shapes: Mapping[str, Shape], manifest: Manifest, where: str) -> bool:
    """Check that tensors have the names and shapes of a detector's, or such shapes with channels removed.

    Args:
        shapes: Of the tensors.
        manifest: Names the detector.
        where: The file, for the message.

    Returns:
        Whether channels were removed.

    Raises:
        SubmissionError: Names the first few tensors that are missing, unexpected or of a wrong shape.
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
        raise SubmissionError(
            f"{where}: the tensors do not fit the detector: {', '.join(problems)}",
            code="tensors",
            remedy="name the detector, arguments and categories that it was trained with",
        )
    return True


def rebuild_with(
    manifest: Manifest, tensors: Mapping[str, torch.Tensor], groups: Mapping[str, int], where: str
) -> nn.Module:
    """The detector in the widths of its tensors, with these, in eval mode on the CPU.

    Where channels were removed it is run once on a small image, so that layers that do not fit each other show.

    Raises:
        SubmissionError: The zoo has no such detector, or the tensors do not fit it or each other.
    """
    shapes = shapes_of(tensors)
    narrowed = check_fit(shapes, manifest, where)
    model = build(manifest, where)
    if narrowed:
        try:
            narrow(model, shapes, groups)
        except ValueError as error:
            raise SubmissionError(
                f"{where}: its narrowed layers are impossible ({error})",
                code="widths",
                remedy="remove whole groups of channels",
            ) from None
    model.load_state_dict(dict(tensors))
    if narrowed:
        try_out(model, where)
    return model.eval()


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def fits(shape: Shape, expected: Shape, other: Shape) -> bool:
    """Whether a tensor could be one of the detector's with some channels removed.

    Args:
        shape: Of the tensor.
        expected: Of the detector's own.
        other: Of the same tensor for another number of categories: a side that depends on it stays whole.

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
    """Give each layer the shape that is stored for it; its values are not set.

    Args:
        model: In full width; changed in place.
        shapes: By tensor.
        groups: By layer, where the rule does not tell the number of groups.

    Raises:
        ValueError: A convolution's or normalisation's channels do not divide into groups.
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
    """The groups of a network's normalisation layers where the rule does not tell them.

    Args:
        model: Perhaps narrowed.
        full: The number of groups and of channels in full width, by layer.
    """
    norms = {path: module for path, module in model.named_modules() if isinstance(module, nn.GroupNorm)}
    usual = {path: _groups(norm.num_channels, *full[path]) for path, norm in norms.items() if path in full}
    return {path: norms[path].num_groups for path, groups in usual.items() if norms[path].num_groups != groups}


def try_out(model: nn.Module, where: str) -> None:
    """Run a narrowed network once on a small image.

    Raises:
        SubmissionError: Its layers do not fit each other.
    """
    transform: GeneralizedRCNNTransform = model.transform  # every detector of the zoo has one
    sizes, training = (transform.min_size, transform.max_size), model.training
    try:
        transform.min_size, transform.max_size = (SMALL_IMAGE,), SMALL_IMAGE
        with torch.inference_mode():
            model.eval()([torch.zeros(3, SMALL_IMAGE, SMALL_IMAGE)])
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        raise SubmissionError(
            f"{where}: its narrowed layers do not fit each other ({str(error)[:200]})",
            code="widths",
            remedy="remove a channel from every layer that makes or reads it",
        ) from None
    finally:
        model.train(training)
        transform.min_size, transform.max_size = sizes


def _own(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Parameters and stored buffers of a module itself."""
    own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
    return [(name, tensor) for name, tensor in own.items() if name not in module._non_persistent_buffers_set]


def _describe(module: nn.Module, shapes: Mapping[str, Shape], groups: int | None) -> None:
    """Make the numbers that a layer keeps beside its tensors agree with their shapes."""
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
