"""The honest control of pruning: the same shape, trained from random weights.

Liu et al., "Rethinking the Value of Network Pruning", ICLR 2019.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.recovery._finetune import FineTune, learn
from wildbench.compression.recovery._recalibrate import norms_of, renormalise, sample
from wildbench.compression.subject import Method, Subject, Workshop
from wildbench.detectors import zoo

SEEN = 8
"""Images that the constants of frozen norms are made of."""


class FromScratch(FineTune):
    """Settings of `from-scratch`: those of `fine-tune`, faster. Give it the epochs that it is compared with."""

    learning_rate: float = Field(default=1.5e-3, gt=0, description="Largest, of AdamW.")


def from_scratch(subject: Subject, settings: FromScratch, workshop: Workshop) -> None:
    """Forget what was learnt, ImageNet too, and train the shape anew; zeros that were pruned stay.

    Frozen batch norms would leave a deep random network without any normalisation: they get the statistics of its first
    images once, as in data-dependent initialisation (Krähenbühl et al., 2016).
    """
    reinitialise(subject, workshop.seed)
    frozen = any(isinstance(norm, FrozenBatchNorm2d) for norm in norms_of(subject.model).values())
    if frozen:
        renormalise(subject.model, None, [list(batch) for batch in sample(workshop, SEEN, SEEN)])
    learn(subject, settings, workshop, task="train from scratch", constant=None)
    subject.history.append(f"this shape trained from random weights for {settings.epochs:g} epochs")


def reinitialise(subject: Subject, seed: int) -> None:
    """Random weights by the detector's own rules: the leading channels of a fresh one, where channels were removed."""
    detector = subject.manifest.detector
    arguments: dict[str, Any] = detector.arguments
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = zoo.build(detector.name, len(subject.manifest.categories), **arguments)
    drawn = fresh.state_dict()
    state = subject.model.state_dict()
    leading = {name: drawn[name][tuple(slice(side) for side in tensor.shape)] for name, tensor in state.items()}
    subject.model.load_state_dict(leading)
    subject.obey()


METHODS = {
    "from-scratch": Method(
        FromScratch,
        from_scratch,
        summary="the control: the compressed shape trained from random weights",
        source="Liu et al. 2019, Rethinking the Value of Network Pruning",
    )
}
