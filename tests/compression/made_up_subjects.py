"""Detectors and workshops for trying compression methods."""

from typing import Any

import torch
from torch import nn

from wildbench.compression.methods._filters import Channels, Slice
from wildbench.compression.recipes import parse_recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors.zoo import _zoo
from wildbench.submissions.manifest import parse_manifest

EMPTY = Dataset("none", "train", {"images": [], "annotations": [], "categories": []}, None)
SMALL = {"blocks": 12, "channels": 16, "depth": 1, "min_size": 96, "max_size": 128, "score_thresh": 0.0}


def subject_of(model: nn.Module, name: str = _zoo.SMALL, arguments: dict[str, Any] | None = None) -> Subject:
    """A subject whose manifest names a detector of the zoo, whatever the model is."""
    detector = {"name": name, "arguments": arguments or {}}
    document = {"name": "dense", "detector": detector, "categories": ["zebra", "lion"]}
    return Subject(model.eval(), parse_manifest(document, "dense.pt"))


def detector(name: str = _zoo.SMALL, seed: int = 3, **arguments: Any) -> Subject:
    """A detector of two categories with random weights."""
    torch.manual_seed(seed)
    arguments = arguments or (SMALL if name == _zoo.SMALL else {})
    return subject_of(_zoo.build(name, 2, **arguments), name, arguments)


def step(subject: Subject, method: str, seed: int = 0, data: Dataset = EMPTY, **settings: Any) -> Subject:
    """Do one step of a recipe to the subject."""
    (one,) = parse_recipe({"summary": "one step", "steps": [{"method": method, **settings}]}).steps
    one.apply(subject, Workshop(nn.Identity(), data, seed))
    return subject


def wake(model: nn.Module) -> None:
    """Give the backbone's norms statistics with which no channel of random weights is dead; without norms, nothing."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    for norm in norms:
        norm.momentum = 1.0
        norm.bias.data.fill_(1.0)
    with torch.no_grad():
        model.train().backbone(torch.randn(4, 3, 96, 128, generator=torch.Generator().manual_seed(0)))
    model.eval()


def train_a_step(subject: Subject) -> None:
    """Move every parameter, as an optimizer would, and let the subject obey."""
    with torch.no_grad():
        for parameter in subject.model.parameters():
            parameter.add_(1.0)
    subject.obey()


def channels_of(width: int, filters: int = 1, block: int = 1) -> Channels:
    """Coupled channels of layers with one weight a filter."""
    layer, own = nn.Conv2d(1, width, 1), torch.arange(width)
    return Channels(width, (Slice("layer", layer, True, own, own),) * filters, block)
