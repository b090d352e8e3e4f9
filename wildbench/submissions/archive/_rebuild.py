"""Rebuilding the detector that a manifest names, in the widths of the stored tensors."""

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

from wildbench.detectors import zoo
from wildbench.errors import RecipeError, SubmissionError
from wildbench.submissions.archive import _widths
from wildbench.submissions.archive._activations import LAYERS, NORMS
from wildbench.submissions.archive._widths import Shape
from wildbench.submissions.codecs import MOST_ELEMENTS
from wildbench.submissions.contract import Manifest

SHOWN = 3
"""So many tensors are named in a message."""


def build(manifest: Manifest, where: str) -> nn.Module:
    """The detector in full width, with random weights.

    Raises:
        SubmissionError: The zoo has no such detector.
    """
    arguments: dict[str, Any] = {**manifest.detector.arguments, "init": "random"}
    try:
        return zoo.build(manifest.detector.name, len(manifest.categories), **arguments)
    except RecipeError as error:
        raise SubmissionError(f"{where}: {error.what}", remedy=error.remedy) from None


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
        found = _plan(manifest.detector.name, arguments, len(manifest.categories) + more_categories)
    except RecipeError as error:
        raise SubmissionError(f"{where}: {error.what}", remedy=error.remedy) from None
    elements = sum(math.prod(shape) for shape in found.shapes.values())
    if elements > MOST_ELEMENTS:
        raise SubmissionError(
            f"{where}: a detector of {elements:,} numbers, more than {MOST_ELEMENTS:,}",
            remedy="check the detector's arguments",
        )
    return found


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
    wrong = [name for name in both if not _widths.fits(shapes[name], expected[name], other[name])]
    problems = {
        "missing": [name for name in expected if name not in shapes],
        "unexpected": [name for name in shapes if name not in expected],
        "of a wrong shape": [f"{name} {list(shapes[name])} not {list(expected[name])}" for name in wrong],
    }
    found = [f"{len(names)} {what} ({_first(names)})" for what, names in problems.items() if names]
    if found:
        raise SubmissionError(
            f"{where}: the tensors do not fit the detector: {', '.join(found)}",
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
            _widths.narrow(model, shapes, groups)
        except ValueError as error:
            raise SubmissionError(
                f"{where}: its narrowed layers are none ({error})", remedy="remove whole groups of channels"
            ) from None
    model.load_state_dict(dict(tensors))
    if narrowed:
        _widths.try_out(model, where)
    return model.eval()


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
