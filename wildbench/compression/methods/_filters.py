"""Structured pruning: filters are taken out of the detector, and what they made out of every layer that reads it."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from wildbench.compression.catalogue import Filters
from wildbench.compression.methods._coupling import Channels, Coupling, thawed
from wildbench.compression.methods._retraining import check_categories
from wildbench.compression.subject import Subject, Workshop, prefixes
from wildbench.detectors import Samples, parse_recipe, zoo
from wildbench.errors import RecipeError, needs

with needs("compress"):
    from torch_pruning.pruner.importance import GroupMagnitudeImportance


def prune_filters(subject: Subject, settings: Filters, workshop: Workshop) -> None:
    """Take filters out.

    A filter is an output channel of a convolution or linear layer, depthwise ones included. Filters whose outputs are
    added, or passed on by a depthwise convolution, go together, and so does what reads them in other parts of the
    detector. Channels belong to a scope if every layer that makes them does. Output layers keep every filter, group
    norms lose whole groups, and every layer keeps at least `round_to` channels. So at most `ratio` of the scope's
    filters go (global), or of each layer's the nearest part that leaves a multiple of `round_to` (uniform). The history
    says how many did.

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
    """Mean L1 norm of a channel's filters (Li et al., 2017, Pruning Filters for Efficient ConvNets).

    Not normalised: where layers are of very different scale, ranking them together takes from some of them only.
    """
    total = torch.zeros(channels.width)
    for part in channels.filters:
        total.index_add_(0, part.channels, part.rows(part.module.weight.detach()).abs().sum(1))
    return total / len(channels.filters)


def taylor(channels: Sequence[Channels], losses: Iterable[Tensor], model: nn.Module) -> list[Tensor]:
    """First-order estimate of how the loss changes when nobody reads a channel (Molchanov et al., 2019).

    Where a channel is read by weights w with gradients g, the change is minus the sum of w g; its square is summed
    over the losses.

    Args:
        channels: Of a model.
        losses: One for each image, computed when it is asked for.
        model: Its gradients are deleted afterwards.
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
    """The sum of the detector's losses on each of some images: not augmented, in the size in which it detects.

    Args:
        model: The detector; in eval mode before and after. Its norms keep their statistics.
        name: Of the detector in the zoo.
        workshop: Its seed draws the images, and seeds the proposals of a two-stage detector.
        images: How many; all the data if there are fewer.

    Raises:
        RecipeError: The detector learns masks, and an annotation has none.
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

    The last chunk would empty the layer and is not among them.

    Args:
        channels: Of one width; those of a group norm go by whole groups.
        scores: Importance, `[width]`.
        round_to: Widths that are left are multiples of it.

    Example:
        >>> four = Channels(width=4, slices=(), block=1)
        >>> chunks(four, torch.tensor([3.0, 1.0, 2.0, 4.0]), 1), chunks(four, torch.tensor([3.0, 1.0, 2.0, 4.0]), 3)
        ([[1], [2], [0]], [[1]])
    """
    runs = scores.view(-1, channels.block)
    order = torch.argsort(runs.mean(1), stable=True)
    indices = torch.arange(channels.width).view(-1, channels.block)[order].flatten().tolist()
    step = math.lcm(round_to, channels.block)
    edges = [0, *range(channels.width % step or step, channels.width, step)]
    return [indices[start:end] for start, end in itertools.pairwise(edges)]


def uniform(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """From each of the channels the least important `ratio`, to the nearest chunk.

    Returns:
        For each: the indices that go.
    """
    gone = []
    for one, score in zip(channels, scores, strict=True):
        options = list(itertools.accumulate(chunks(one, score, round_to), initial=[]))
        gone.append(min(options, key=lambda option: abs(len(option) - ratio * one.width)))
    return gone


def ranked(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """The chunks of least mean score in all layers, until `ratio` of all filters is gone and never more.

    At least `round_to` channels of each are left, or scores of very different scale would empty whole layers.

    Returns:
        For each: the indices that go.
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
