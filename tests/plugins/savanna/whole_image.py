"""A detector: answers with the whole image, once for each category, and learns how likely each is."""

import torch
from torch import nn

from wildbench.detectors.zoo import Detector


class WholeImage(nn.Module):
    def __init__(self, categories: int, width: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 8, 8)
        self.head = nn.Linear(width, categories)

    def forward(self, images, targets=None):
        logits = self.head(torch.stack([self.stem(image[None]).mean((2, 3))[0] for image in images]))
        if self.training:
            truth = torch.zeros_like(logits)
            for row, target in zip(truth, targets, strict=True):
                row[target["labels"] - 1] = 1.0
            return {"classification": nn.functional.binary_cross_entropy_with_logits(logits, truth)}
        labels = torch.arange(1, logits.shape[1] + 1)
        corners = [torch.tensor([[0.0, 0.0, image.shape[2], image.shape[1]]]) for image in images]
        return [
            {"boxes": box.repeat(len(labels), 1), "labels": labels, "scores": row.sigmoid()}
            for box, row in zip(corners, logits, strict=True)
        ]


def build(num_categories: int, *, init: str, width: int = 4) -> nn.Module:
    return WholeImage(num_categories, width)


WHOLE_IMAGE = Detector(build, arguments={"width": int}, small={"width": 2})
