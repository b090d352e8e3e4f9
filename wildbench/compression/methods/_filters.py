"""Structured pruning: filters are taken out of the detector, and what they made out of every layer that reads it.

Which channels can only go together is torch-pruning's dependency graph (Fang et al., 2023, DepGraph). A channel is made
by filters (several, where their outputs are added), passed on by norms and depthwise convolutions, and read by the next
layers. Taking it out of all of them leaves a smaller network of the same kind.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.catalogue import Filters
from wildbench.compression.methods._retraining import check_categories
from wildbench.compression.subject import Subject, Workshop, is_output, prefixes, prunable
from wildbench.detectors import Samples, parse_recipe, zoo
from wildbench.errors import RecipeError, needs

with needs("compress"):
    import torch_pruning
    from torch_pruning.pruner.importance import GroupMagnitudeImportance

EXAMPLE_SIDE, SSD_SIDE = 64, 300
"""Pixels of the image by which a detector is traced; SSD's last maps need its own size."""


def prune_filters(subject: Subject, settings: Filters, workshop: Workshop) -> None:
    """Take filters out.

    A filter is an output channel of a convolution or linear layer, depthwise ones included. Channels belong to a scope
    if every layer that makes them does. Output layers keep every filter, group norms lose whole groups, and every layer
    keeps at least `round_to` channels. So at most `ratio` of the scope's filters go (global), or of each layer's the
    nearest part that leaves a multiple of `round_to` (uniform). The history says how many did.

    Raises:
        RecipeError: No filter of the scope can go, or an earlier step has constrained single weights.
    """
    if subject.constraints or subject.joint:
        raise RecipeError("weights were zeroed or shared before", code="order", remedy="prune filters first")
    model = subject.model
    before = sum(parameter.numel() for parameter in model.parameters())
    with thawed(model):
        coupling = Coupling(model)
        beginnings = prefixes(model, settings.scope)
        channels = [one for one in coupling.channels() if all(name.startswith(beginnings) for name in one.makers)]
        if not channels:
            part = f"scope {settings.scope!r} of {subject.manifest.detector.name}"
            raise RecipeError(f"{part} has only outputs", code="nothing-to-prune", remedy="prune the backbone")
        scores = _scores(subject, channels, settings, workshop)
        select = ranked if settings.distribution == "global" else uniform
        gone = select(channels, scores, settings.ratio, settings.round_to)
        for one, indices in zip(channels, gone, strict=True):
            if indices:
                coupling.remove(one, sorted(indices))
    after = sum(parameter.numel() for parameter in model.parameters())
    total = sum(one.width * len(one.filters) for one in channels)
    removed = sum(len(indices) * len(one.filters) for one, indices in zip(channels, gone, strict=True))
    subject.history.append(
        f"{removed:,} of {total:,} filters of {settings.scope} removed ({settings.distribution} {settings.importance}, "
        f"multiples of {settings.round_to}): {before:,} parameters to {after:,}"
    )


@dataclass(frozen=True)
class Slice:
    """What belongs to coupled channels in one layer with weights.

    Attributes:
        layer: Its name.
        module: The layer.
        made: Whether these are its filters; otherwise they are its inputs.
        indices: Along its dimension of filters or of inputs.
        channels: For each index, its coupled channel; several share one in a linear layer that reads flattened maps.
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
        """Names of the layers that make them; depthwise ones only pass them on."""
        return tuple(part.layer for part in self.filters if not 1 < _groups(part.module) == len(part.module.weight))


def _groups(module: nn.Module) -> int:
    return module.groups if isinstance(module, nn.Conv2d) else 1


class Coupling:
    """The dependency graph of a detector in eval mode, on the CPU, without frozen batch norms (`thawed`)."""

    def __init__(self, model: nn.Module) -> None:
        if not hasattr(model, "backbone") or not (hasattr(model, "head") or hasattr(model, "roi_heads")):
            message = f"{type(model).__name__} has no backbone with a head, through which channels could be followed"
            raise RecipeError(message, code="no-such-part", remedy="prune its weights, units or kernels instead")
        self._traced = _Traced(model)
        self._graph: Any = torch_pruning.DependencyGraph()
        scale = getattr(model.backbone, "scale_weight", None)
        side = EXAMPLE_SIDE if scale is None else SSD_SIDE
        scales = [] if scale is None else [(scale, 0)]
        self._graph.build_dependency(
            self._traced, torch.zeros(1, 3, side, side), unwrapped_parameters=scales, verbose=False
        )
        self._names = {module: name for name, module in model.named_modules()}

    def channels(self) -> list[Channels]:
        """All that can be taken out: channels that are not outputs of the detector."""
        every = (self._described(group) for group in self._graph.get_all_groups())
        return [channels for channels in every if not any(is_output(name) for name in channels.makers)]

    def remove(self, channels: Channels, indices: list[int]) -> Any:  # noqa: ANN401 - torch-pruning has no types
        """Take some out of every layer; a torch-pruning group of these. `channels` is invalid afterwards."""
        root = channels.group[0].dep.target.module
        prune = self._graph.get_pruner_of_module(root).prune_out_channels
        group = self._graph.get_pruning_group(root, prune, indices)
        norms = [item.dep.target.module for item in group if isinstance(item.dep.target.module, nn.GroupNorm)]
        sizes = [norm.num_channels // norm.num_groups for norm in norms]
        group.prune()
        for norm, size in zip(norms, sizes, strict=True):
            norm.num_groups = norm.num_channels // size
        return group

    def _described(self, group: Any) -> Channels:  # noqa: ANN401
        slices, block = [], 1
        for item in group:
            module = item.dep.target.module
            if isinstance(module, nn.GroupNorm):
                block = math.lcm(block, module.num_channels // module.num_groups)
            elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                made = self._graph.is_out_channel_pruning_fn(item.dep.handler)
                indices, channels = torch.tensor(item.idxs), torch.tensor(item.root_idxs)
                slices.append(Slice(self._names[module], module, made, indices, channels))
        return Channels(len(group[0].idxs), tuple(slices), block, group)


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
    """Run the heads of a two-stage detector on the whole image: like RoI pooling, this keeps channels apart."""

    def pooled(size: tuple[int, int]) -> Tensor:
        return functools.reduce(torch.add, [nn.functional.adaptive_avg_pool2d(level, size) for level in levels])

    heads.box_predictor(heads.box_head(pooled(heads.box_roi_pool.output_size)))
    if heads.has_mask():
        heads.mask_predictor(heads.mask_head(pooled(heads.mask_roi_pool.output_size)))


@contextmanager
def thawed(model: nn.Module) -> Iterator[None]:
    """While the block runs, frozen batch norms of a model in eval mode are ordinary ones; they may be narrowed."""
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


def _scores(subject: Subject, channels: Sequence[Channels], settings: Filters, workshop: Workshop) -> Sequence[Tensor]:
    """Importance of each of the channels."""
    if settings.importance == "random":
        generator = torch.Generator().manual_seed(workshop.seed)
        return [torch.rand(one.width, generator=generator) for one in channels]
    if settings.importance == "taylor":
        check_categories(subject, workshop.data)
        model = subject.model.to(workshop.device)
        losses = image_losses(model, subject.manifest.detector.name, workshop, settings.images)
        scores = taylor(channels, losses, model)
        model.cpu()
        return scores
    return [l1(one) if settings.importance == "l1" else _group_l2(one.group).nan_to_num() for one in channels]


# torch-pruning's importances leave depthwise filters out, which count as filters here, and its Taylor expansion takes
# one loss and adds |w g| of what makes a channel: only its group norm is used, the others are our own.
_group_l2 = GroupMagnitudeImportance(p=2, target_types=[nn.modules.conv._ConvNd, nn.Linear])


def l1(channels: Channels) -> Tensor:
    """Mean L1 norm of a channel's filters (Li et al., 2017, Pruning Filters for Efficient ConvNets), `[width]`.

    Not normalised: where layers are of very different scale, ranking them together takes from some of them only.
    """
    total = torch.zeros(channels.width)
    for part in channels.filters:
        total.index_add_(0, part.channels, part.rows(part.module.weight.detach()).abs().sum(1))
    return total / len(channels.filters)


def taylor(channels: Sequence[Channels], losses: Iterable[Tensor], model: nn.Module) -> list[Tensor]:
    """First-order estimate of how the loss changes when nobody reads a channel (Molchanov et al., 2019).

    Where a channel is read by weights w with gradients g, the change is minus the sum of w g; its square is summed
    over the losses, one per image. The model's gradients are deleted.
    """
    scores = [torch.zeros(one.width) for one in channels]
    for loss in losses:
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for score, one in zip(scores, channels, strict=True):
            change = torch.zeros(one.width)
            for part in one.slices:
                if not part.made and part.module.weight.grad is not None:
                    products = part.rows(part.module.weight.detach() * part.module.weight.grad).sum(1)
                    change.index_add_(0, part.channels, products.cpu())
            score += change.square()
    model.zero_grad(set_to_none=True)
    return scores


def image_losses(model: nn.Module, name: str, workshop: Workshop, images: int) -> Iterator[Tensor]:
    """The sum of a detector's losses on each of some images, not augmented, in the size in which it detects.

    The workshop's seed draws them, and seeds the proposals of a two-stage detector. The model stays in eval mode, and
    its norms keep their statistics. RecipeError if it learns masks and an annotation has none.
    """
    unused = {"height": 32, "width": 32}  # of augmented images, of which there are none here
    recipe = parse_recipe({"detector": {"name": name}, "schedule": {"epochs": 1}, "augmentation": unused})
    samples = Samples(recipe, workshop.data, masks=zoo.detector(name).masks, plain_from=0)
    indices = workshop.drawn(images)
    for done, index in enumerate(indices, 1):
        image, target = samples.plain(index)
        moved = {key: value.to(workshop.device) for key, value in target.items()}
        with torch.random.fork_rng():
            torch.manual_seed(workshop.seed + done)
            model.train()
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
            losses: dict[str, Tensor] = model([image.to(workshop.device)], [moved])
            model.eval()
        yield torch.stack(list(losses.values())).sum()
        workshop.progress("losses", done, len(indices))


def chunks(channels: Channels, scores: Tensor, round_to: int) -> list[list[int]]:
    """Channels in the order in which they go, in chunks after each of which a multiple of `round_to` is left.

    The last chunk would empty the layer and is left out. Channels of a group norm go by whole groups.
    """
    runs = scores.view(-1, channels.block)
    order = torch.argsort(runs.mean(1), stable=True)
    indices = torch.arange(channels.width).view(-1, channels.block)[order].flatten().tolist()
    step = math.lcm(round_to, channels.block)
    edges = [0, *range(channels.width % step or step, channels.width, step)]
    return [indices[start:end] for start, end in itertools.pairwise(edges)]


def uniform(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """Indices of the least important `ratio` of each of the channels, to the nearest chunk."""
    gone = []
    for one, score in zip(channels, scores, strict=True):
        options = list(itertools.accumulate(chunks(one, score, round_to), initial=[]))
        gone.append(min(options, key=lambda option: abs(len(option) - ratio * one.width)))
    return gone


def ranked(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """Indices of the chunks of least mean score in all layers, until `ratio` of all filters is gone and never more.

    At least `round_to` channels of each are left, or scores of very different scale would empty whole layers.
    """
    budget = ratio * sum(one.width * len(one.filters) for one in channels)
    gone: list[list[int]] = [[] for _ in channels]
    waiting = [chunks(one, score, round_to)[::-1] for one, score in zip(channels, scores, strict=True)]

    def offer(number: int) -> tuple[float, int]:
        return float(scores[number][waiting[number][-1]].mean()), number

    heap = [offer(number) for number, chunk in enumerate(waiting) if chunk]
    heapq.heapify(heap)
    while heap:
        _, number = heapq.heappop(heap)
        chunk = waiting[number].pop()
        cost = len(chunk) * len(channels[number].filters)
        if cost > budget:
            continue  # no more of these; the rest of the budget may do for others
        budget -= cost
        gone[number] += chunk
        if waiting[number]:
            heapq.heappush(heap, offer(number))
    return gone
