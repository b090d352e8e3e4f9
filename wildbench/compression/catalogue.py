"""The methods that come with wildbench, and what each takes; the code is in `methods`, imported when a step is run."""

from __future__ import annotations

from functools import partial
from typing import Literal

from pydantic import Field, field_validator

from wildbench.compression.subject import Method, Scope, Settings
from wildbench.errors import SubmissionError

_METHODS = "wildbench.compression.methods"
PART = "Which part of the detector."


def _images(default: int, description: str) -> int:
    images: int = Field(default=default, ge=1, le=1_000_000, description=description)
    return images


class Zeroing(Settings):
    """What `units` and `kernels` take."""

    ratio: float = Field(default=0.3, ge=0, lt=1, description="Part that goes, of their number and not their bytes.")
    scope: Scope = Field(default="backbone", description=PART)


class Weights(Zeroing):
    """What `weights` takes."""

    criterion: Literal["l1", "random"] = Field(default="l1", description="The smallest go first, or any (the control).")


class Filters(Zeroing):
    """What `filters` takes."""

    importance: Literal["l1", "group-l2", "taylor", "random"] = Field(default="l1", description="Which go first.")
    distribution: Literal["global", "uniform"] = Field(default="global", description="Over all layers, or in each.")
    round_to: int = Field(default=8, ge=1, le=64, description="Remaining widths are multiples of it.")
    images: int = _images(32, "Training images whose losses Taylor importance uses.")


class Quantize(Settings):
    """What `quantize` takes."""

    weights: int = Field(default=8, ge=2, le=8, description="Bits of a weight.")
    activations: int | None = Field(default=8, ge=2, le=8, description="Bits of an activation; `false` for float.")
    scope: Scope = Field(default="all", description=PART)
    keep: Literal["none", "outputs", "head"] = Field(default="none", description="Left float: the head or its outputs.")
    rounding: Literal["minmax", "mse"] = Field(default="mse", description="How a channel's scale is chosen.")
    calibrator: Literal["minmax", "percentile", "mse"] = Field(default="mse", description="How a range is chosen.")
    percentile: float = Field(default=99.99, gt=50, lt=100, description="For the calibrator of that name.")
    images: int = _images(32, "To calibrate with, evenly spaced through the training data.")
    fold: bool = Field(default=True, description="Fold batch norms into the layers before them.")
    correct: bool = Field(default=True, description="Let biases make up for what rounding does to mean results.")
    rest: Literal["fp16", "raw"] = Field(default="fp16", description="How biases, norms and float weights are stored.")


class Half(Settings):
    """What `half` takes: nothing."""


class Share(Settings):
    """What `share` takes."""

    bits: int = Field(default=5, ge=2, le=8, description="Of an index, which distinguishes 2^bits values.")
    table: Literal["layer", "global"] = Field(default="layer", description="One table per layer, or one for all.")
    scope: Scope = Field(default="all", description=PART)
    small: int = Field(default=4096, ge=0, description="Layers of fewer weights take 8 bits, if each has a table.")


class Code(Settings):
    """What `code` takes."""

    codec: str = Field(default="smallest", description="Chain of codecs; a lossy one rounds the detector too.")
    half: bool = Field(default=True, description="First merge statistics into scales and round all numbers to halves.")

    @field_validator("codec")
    @classmethod
    def _known(cls, codec: str) -> str:
        from wildbench.submissions.codecs import parse

        for way in codec.split(",") if codec != "smallest" else []:
            try:
                parse(way)
            except SubmissionError as error:
                raise ValueError(str(error)) from None
        return codec


class Recalibrate(Settings):
    """What `recalibrate` takes."""

    images: int = _images(64, "How many training images are used.")
    batch_size: int = Field(default=8, ge=1, le=4096, description="Images in a forward pass.")


class FineTune(Settings):
    """What `fine-tune` takes: linear warm-up, then a cosine down to nearly nothing."""

    epochs: float = Field(default=4, gt=0, le=10_000, description="Passes through the training data.")
    learning_rate: float = Field(default=3e-4, gt=0, description="Largest, of AdamW.")
    backbone_factor: float = Field(default=1.0, ge=0, description="Learning rate of the backbone over the rest's.")
    batch_size: int = Field(default=8, ge=1, le=4096, description="Images in a step.")
    warmup_steps: int = Field(default=20, ge=0, le=1_000_000, description="Over which the learning rate rises from 0.")
    weight_decay: float = Field(default=0.05, ge=0, description="Of matrices and kernels; biases and norms have none.")
    ema_decay: float = Field(default=0.99, ge=0, lt=1, description="Of the averaged weights that are the result.")
    plain_fraction: float = Field(default=0.25, ge=0, le=1, description="Last part without mosaic and pasting.")
    like: str | None = Field(
        default=None,
        description="Training recipe whose augmentation to use; by default the bundled reference's, at the size that "
        "the detector sees, and without pasting if masks are missing.",
    )


class Distil(FineTune):
    """What `distil` takes: what `fine-tune` does, and the weights of the imitation."""

    features: float = Field(default=1.0, ge=0, description="Weight of the features' loss, a mean over levels.")
    outputs: float = Field(default=1.0, ge=0, description="Weight of the outputs' loss.")


class FromScratch(FineTune):
    """What `from-scratch` takes: what `fine-tune` does, with a larger learning rate; give both as many epochs."""

    learning_rate: float = Field(default=1.5e-3, gt=0, description="Largest, of AdamW.")


_zeroing = partial(Method, family="pruning", keeps=True, splits=True)
_recovery = partial(Method, family="recovery", needs_data=True)

WEIGHTS = _zeroing(
    settings=Weights,
    apply=f"{_METHODS}._zeroing:prune_weights",
    summary="global unstructured pruning: the weights of least magnitude become zero",
    source="Han et al. (2015), Learning both Weights and Connections for Efficient Neural Networks; as in "
    "Muhawenayo & Gkioxari (2021), Compressed Object Detection",
)
UNITS = _zeroing(
    settings=Zeroing,
    apply=f"{_METHODS}._zeroing:prune_units",
    summary="unit pruning: in each layer the filters or rows of least L2 norm become zero",
    source="Muhawenayo & Gkioxari (2021), Compressed Object Detection",
)
KERNELS = _zeroing(
    settings=Zeroing,
    apply=f"{_METHODS}._zeroing:prune_kernels",
    summary="kernel pruning: the k x k slices of least L1 norm become zero",
    source='Frühwirth (2024), "Global Kernel Level Filter Pruning" read as pruning of kernels',
)
FILTERS = Method(
    settings=Filters,
    apply=f"{_METHODS}._filters:prune_filters",
    summary="structured pruning: filters, and all that depends on them, are taken out of the detector",
    source='Li et al. (2017), Pruning Filters for Efficient ConvNets; globally as in Frühwirth (2024), "Global '
    'Kernel Level Filter Pruning" read as pruning of filters; coupled by Fang et al. (2023), DepGraph',
    family="pruning",
    needs_data=lambda settings: settings.importance == "taylor",
    narrows=True,
)
QUANTIZE = Method(
    settings=Quantize,
    apply=f"{_METHODS}._quantization:quantize",
    summary="round weights and activations to few bits, calibrated on training images",
    source="Jacob et al., Quantization and Training of Neural Networks (CVPR 2018); Krishnamoorthi (2018)",
    family="quantization",
    needs_data=True,
    last=True,
    splits=True,
)
HALF = Method(
    settings=Half,
    apply=f"{_METHODS}._quantization:half",
    summary="store every number in half precision, but for the variances of batch norms",
    source="Micikevicius et al., Mixed Precision Training (ICLR 2018)",
    family="quantization",
    last=True,
)
SHARE = Method(
    settings=Share,
    apply=f"{_METHODS}._coding:share",
    summary="k-means weight sharing: 2 to 8 bits distinguish the values of a layer",
    source="Han et al. 2016, Deep Compression",
    family="coding",
    ties=True,
)
CODE = Method(
    settings=Code,
    apply=f"{_METHODS}._coding:code",
    summary="half-precision centroids, biases and norms, and entropy coding",
    source="Han et al. 2016, Deep Compression",
    family="coding",
    last=True,
)
RECALIBRATE = _recovery(
    settings=Recalibrate,
    apply=f"{_METHODS}._recalibration:recalibrate",
    summary="new statistics for batch norms, so that channels keep the mean and spread of the dense detector",
    source="Jordan et al. 2023, REPAIR: REnormalizing Permuted Activations for Interpolation Repair",
    norms="matches",
)
FINE_TUNE = _recovery(
    settings=FineTune,
    apply=f"{_METHODS}._retraining:fine_tune",
    summary="train on, with what earlier steps imposed kept true",
    source="Han et al. 2015, Learning both Weights and Connections for Efficient Neural Networks",
    norms="trains",
)
DISTIL = _recovery(
    settings=Distil,
    apply=f"{_METHODS}._retraining:distil",
    summary="fine-tune with the features and outputs of the dense detector as further targets",
    source="Cao et al. 2022, PKD (features); Chen et al. 2017 (outputs)",
    norms="trains",
)
FROM_SCRATCH = _recovery(
    settings=FromScratch,
    apply=f"{_METHODS}._retraining:from_scratch",
    summary="the control: the compressed shape trained from random weights",
    source="Liu et al. 2019, Rethinking the Value of Network Pruning",
    norms="replaces",
)
