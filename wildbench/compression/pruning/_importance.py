"""How much each of some coupled channels matters: one score for each, the least goes first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn

from wildbench.compression.pruning._coupling import Channels, Slice
from wildbench.compression.subject import Workshop
from wildbench.detectors import Samples, parse_recipe, zoo


def _summed(channels: Channels, parts: Iterable[Slice], value: Callable[[Tensor], Tensor]) -> Tensor:
    """Per channel: the sum over parts of `value` of its rows `[n, rest]`, one number a row."""
    total = torch.zeros(channels.width)
    for part in parts:
        total.index_add_(0, part.channels, value(part.rows(part.module.weight.detach())))
    return total


def l1(channels: Channels) -> Tensor:
    """Mean L1 norm of a channel's filters (Li et al., 2017, Pruning Filters for Efficient ConvNets).

    As it is: where layers are of very different scale, ranking them together takes from some of them only.
    """
    return _summed(channels, channels.filters, lambda rows: rows.abs().sum(1)) / len(channels.filters)


def group_l2(channels: Channels) -> Tensor:
    """Mean squared L2 norm of all that makes, passes on or reads a channel, relative to its neighbours' (DepGraph)."""
    norms = _summed(channels, channels.slices, lambda rows: rows.square().sum(1))
    return norms / norms.mean().clamp_min(torch.finfo(torch.float32).tiny)


def fpgm(channels: Channels) -> Tensor:
    """Sum of a filter's distances to the layer's others, relative to theirs (He et al., 2019, FPGM).

    A filter near the geometric median can be spared, however large it is.
    """
    distances = _summed(channels, channels.filters, lambda rows: torch.cdist(rows, rows).sum(1))
    return distances / distances.mean().clamp_min(torch.finfo(torch.float32).tiny)


def random(channels: Sequence[Channels], seed: int) -> list[Tensor]:
    """No importance: the control."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(one.width, generator=generator) for one in channels]


def taylor(channels: Sequence[Channels], losses: Iterable[Tensor], model: nn.Module) -> list[Tensor]:
    """First-order estimate of how the loss changes when nobody reads a channel (Molchanov et al., 2019).

    Where a channel is read by weights w with gradients g, the change is minus the sum of w g; its square is summed
    over the losses.

    Args:
        channels: Of a model.
        losses: One for each image, each computed when it is asked for.
        model: Has its gradients taken away afterwards.
    """
    scores = [torch.zeros(one.width) for one in channels]
    for loss in losses:
        model.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        for score, one in zip(scores, channels, strict=True):
            score += _change(one).square()
    model.zero_grad(set_to_none=True)
    return scores


def _change(channels: Channels) -> Tensor:
    change = torch.zeros(channels.width)
    for part in channels.slices:
        if not part.made and part.module.weight.grad is not None:
            products = part.rows(part.module.weight.detach() * part.module.weight.grad).sum(1)
            change.index_add_(0, part.channels, products.cpu())
    return change


def image_losses(model: nn.Module, name: str, workshop: Workshop, images: int) -> Iterator[Tensor]:
    """The sum of the detector's losses on each of some images: not augmented, in the size in which it detects.

    Args:
        model: The detector; in eval mode before and after. Its norms keep their statistics.
        name: Of the detector in the zoo.
        workshop: Its data are drawn from by its seed, which also seeds the proposals of a two-stage detector.
        images: How many; all the data where they are fewer.

    Raises:
        RecipeError: The detector learns masks, and an annotation has none.
    """
    unused = {"height": 32, "width": 32}  # of augmented images, of which there are none here
    recipe = parse_recipe({"detector": {"name": name}, "schedule": {"epochs": 1}, "augmentation": unused})
    samples = Samples(recipe, workshop.data, masks=zoo.detector(name).masks, plain_from=0)
    chosen = workshop.drawn(images)
    for done, index in enumerate(chosen, 1):
        image, target = samples.plain(index)
        moved = {key: value.to(workshop.device) for key, value in target.items()}
        with torch.random.fork_rng():
            torch.manual_seed(workshop.seed + done)
            loss = _loss(model, image.to(workshop.device), moved)
        yield loss
        workshop.progress("losses", done, len(chosen))


def _loss(model: nn.Module, image: Tensor, target: dict[str, Tensor]) -> Tensor:
    model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    losses: dict[str, Tensor] = model([image], [target])
    model.eval()
    return torch.stack(list(losses.values())).sum()
