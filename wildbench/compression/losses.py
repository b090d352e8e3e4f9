"""What a detector's losses are on a few of its training images, for steps that ask the gradient what matters."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from wildbench.compression.subject import Workshop
from wildbench.detectors import zoo
from wildbench.detectors.recipe import parse_recipe
from wildbench.detectors.samples import Samples


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
    samples = Samples(recipe, workshop.data, masks=zoo.predicts_masks(name), plain_from=0)
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
