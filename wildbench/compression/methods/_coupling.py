"""Which channels of a detector can only go together: torch-pruning's dependency graph (Fang et al., 2023, DepGraph).

A channel is made by filters (several, where their outputs are added), passed on by norms and depthwise convolutions,
and read by the next layers. Taking it out of all of them leaves a smaller network of the same kind.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.subject import is_output, prunable
from wildbench.errors import needs

with needs("compress"):
    import torch_pruning

EXAMPLE_SIDE, SSD_SIDE = 64, 300
"""Pixels of the image by which a detector is traced; SSD's last maps need its own size."""


@dataclass(frozen=True)
class Slice:
    """What belongs to coupled channels in one layer with weights.

    Attributes:
        layer: Its name.
        module: The layer.
        made: Whether these are its filters; otherwise they are its inputs.
        indices: Along its dimension of filters or of inputs.
        channels: For each index, the coupled channel that it belongs to; of a linear layer that reads flattened maps,
            several indices belong to one.
    """

    layer: str
    module: Any
    made: bool
    indices: Tensor
    channels: Tensor

    def rows(self, tensor: Tensor) -> Tensor:
        """The part of a tensor of the weight's shape that belongs to each index: `[indices, rest]`."""
        first = self.made != isinstance(self.module, nn.ConvTranspose2d)
        return (tensor if first else tensor.transpose(0, 1))[self.indices].flatten(1)

    @property
    def depthwise(self) -> bool:
        """Whether the layer has one filter for each channel, and so only passes it on."""
        return isinstance(self.module, nn.Conv2d) and self.module.groups == self.module.out_channels > 1


@dataclass(frozen=True)
class Channels:
    """Channels that can only go together.

    Attributes:
        width: How many there are.
        slices: Of the layers with weights that make, pass on or read them.
        block: They go in aligned runs of this length, so that the groups of a group norm stay whole.
        group: As torch-pruning has them.
    """

    width: int
    slices: tuple[Slice, ...]
    block: int
    group: Any = None

    @property
    def filters(self) -> tuple[Slice, ...]:
        """The filters of each layer that makes them or passes them on."""
        return tuple(part for part in self.slices if part.made)

    @property
    def makers(self) -> tuple[str, ...]:
        """Names of the layers that make them."""
        return tuple(part.layer for part in self.filters if not part.depthwise)


class Coupling:
    """The dependency graph of a detector.

    Args:
        model: In eval mode, without frozen batch norms (`frozen_norms.thawed`), on the CPU.
    """

    def __init__(self, model: nn.Module) -> None:
        self._traced = _Traced(model)
        self._graph: Any = torch_pruning.DependencyGraph()
        side = SSD_SIDE if hasattr(model.backbone, "scale_weight") else EXAMPLE_SIDE
        scales = [(model.backbone.scale_weight, 0)] if hasattr(model.backbone, "scale_weight") else []
        self._graph.build_dependency(
            self._traced, torch.zeros(1, 3, side, side), unwrapped_parameters=scales, verbose=False
        )
        self._names = {module: name for name, module in model.named_modules()}

    def channels(self) -> list[Channels]:
        """All that can be taken out: channels that are not outputs of the detector."""
        every = (self._described(group) for group in self._graph.get_all_groups())
        return [channels for channels in every if not any(is_output(name) for name in channels.makers)]

    def remove(self, channels: Channels, indices: list[int]) -> dict[str, list[int]]:
        """Take those with the given indices out of every layer; `channels` is invalid afterwards.

        Returns:
            By layer that made or passed them on (norms too): their former positions in it.
        """
        root = channels.group[0].dep.target.module
        prune = self._graph.get_pruner_of_module(root).prune_out_channels
        group = self._graph.get_pruning_group(root, prune, indices)
        gone = {
            self._names[item.dep.target.module]: list(item.idxs)
            for item in group
            if item.dep.target.module in self._names and self._graph.is_out_channel_pruning_fn(item.dep.handler)
        }
        norms = [item.dep.target.module for item in group if isinstance(item.dep.target.module, nn.GroupNorm)]
        sizes = [norm.num_channels // norm.num_groups for norm in norms]
        group.prune()
        for norm, size in zip(norms, sizes, strict=True):
            norm.num_groups = norm.num_channels // size
        return gone

    def _described(self, group: Any) -> Channels:  # noqa: ANN401 - torch-pruning has no types
        norms = {item.dep.target.module for item in group if isinstance(item.dep.target.module, nn.GroupNorm)}
        return Channels(
            width=len(group[0].idxs),
            slices=tuple(self._slices(group)),
            block=math.lcm(*(norm.num_channels // norm.num_groups for norm in norms)),
            group=group,
        )

    def _slices(self, group: Any) -> Iterator[Slice]:  # noqa: ANN401
        for item in group:
            module = item.dep.target.module
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                made = self._graph.is_out_channel_pruning_fn(item.dep.handler)
                indices, channels = torch.tensor(item.idxs), torch.tensor(item.root_idxs)
                yield Slice(self._names[module], module, made, indices, channels)


class _Traced(nn.Module):
    """A detector of the zoo between resizing and suppression, on one image `[1, 3, H, W]`, as a plain network."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector: Any = detector

    def forward(self, image: Tensor) -> list[Tensor]:
        """The outputs of the output layers, before they are reshaped, for every level of the pyramid."""
        outputs: list[Tensor] = []
        layers = [layer for name, layer in prunable(self.detector, "all").items() if is_output(name)]
        with ExitStack() as hooks:  # torch-pruning tries a first call that fails
            for layer in layers:
                hooks.callback(layer.register_forward_hook(lambda _, inputs, output: outputs.append(output)).remove)
            maps = self.detector.backbone(image)
            levels = list(maps.values()) if isinstance(maps, dict) else [maps]
            if hasattr(self.detector, "head"):
                self.detector.head(levels)
            else:
                self.detector.rpn.head(levels)
                _run_heads(self.detector.roi_heads, levels)
        return outputs


def _run_heads(heads: RoIHeads, levels: list[Tensor]) -> None:
    """Run the heads of a two-stage detector on the whole image: as RoI pooling, this keeps channels apart."""

    def pooled(size: tuple[int, int]) -> Tensor:
        return functools.reduce(torch.add, [nn.functional.adaptive_avg_pool2d(level, size) for level in levels])

    heads.box_predictor(heads.box_head(pooled(heads.box_roi_pool.output_size)))
    if heads.has_mask():
        heads.mask_predictor(heads.mask_head(pooled(heads.mask_roi_pool.output_size)))


@contextlib.contextmanager
def thawed(model: nn.Module) -> Iterator[None]:
    """While the block runs, frozen batch norms are ordinary ones with the same tensors and epsilon.

    Args:
        model: In eval mode; changed in place. Afterwards its frozen norms have the widths that the block gave them.
    """
    frozen = {name for name, module in model.named_modules() if isinstance(module, FrozenBatchNorm2d)}
    _replace(model, frozen, nn.BatchNorm2d)
    try:
        yield
    finally:
        _replace(model, frozen, FrozenBatchNorm2d)


@torch.no_grad()
def _replace(model: nn.Module, names: set[str], kind: Callable[..., nn.Module]) -> None:
    for name in names:
        norm: Any = model.get_submodule(name)
        other = kind(len(norm.weight), eps=norm.eps).eval()
        for tensor in ("weight", "bias", "running_mean", "running_var"):  # both kinds have these
            getattr(other, tensor).copy_(getattr(norm, tensor))
        model.set_submodule(name, other)
