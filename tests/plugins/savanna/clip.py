"""A compression method: outlying weights are clipped, so that fewer bits are enough for the others."""

from functools import partial

import torch
from pydantic import Field

from wildbench.compression.subject import Method, Settings, Subject, Workshop, prunable


class Clip(Settings):
    at: float = Field(default=3.0, gt=0, description="Standard deviations from 0.")


def clip(subject: Subject, settings: Clip, workshop: Workshop) -> None:
    for name, layer in prunable(subject.model, "all").items():
        limit = settings.at * layer.weight.std().item()
        subject.constrain(f"{name}.weight", partial(torch.clamp, min=-limit, max=limit))
    subject.obey()
    subject.history.append(f"weights clipped at {settings.at:g} standard deviations")


METHOD = Method(Clip, clip, summary="outlying weights are clipped", source="-", family="quantization")
