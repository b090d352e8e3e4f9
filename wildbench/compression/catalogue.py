"""The methods that come with wildbench, and what each takes; the code is in `methods`, imported when a step is run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from wildbench.compression.subject import Method, Scope, Settings
from wildbench.errors import SubmissionError

_METHODS = "wildbench.compression.methods"
PART = "Which part of the detector."


def _ratio(description: str) -> float:
    ratio: float = Field(default=0.3, ge=0, lt=1, description=description)
    return ratio


def _images(default: int, description: str) -> int:
    images: int = Field(default=default, ge=1, le=1_000_000, description=description)
    return images


class Weights(Settings):
    """What `weights` takes."""

    ratio: float = _ratio("Part of the scope's weights that become zero.")
    scope: Scope = Field(default="backbone", description=PART)
    criterion: Literal["l1", "random"] = Field(
        default="l1", description="Which go: the smallest by magnitude, or any (the control)."
    )


class Units(Settings):
    """What `units` takes."""

    ratio: float = _ratio("Part of each layer's units that become zero.")
    scope: Scope = Field(default="backbone", description=PART)


class Kernels(Settings):
    """What `kernels` takes."""

    ratio: float = _ratio("Part of the scope's kernels that become zero.")
    scope: Scope = Field(default="backbone", description=PART)


class Filters(Settings):
    """What `filters` takes."""

    ratio: float = _ratio("Part of the scope's filters that go; of their number, not of their bytes.")
    scope: Scope = Field(default="backbone", description=PART)
    importance: Literal["l1", "group-l2", "taylor", "random"] = Field(
        default="l1", description="Which go first (`importance`); random is the control."
    )
    distribution: Literal["global", "uniform"] = Field(
        default="global", description="All layers ranked together, or the same part of each (the control)."
    )
    round_to: int = Field(default=8, ge=1, le=64, description="Widths that are left are multiples of it.")
    images: int = _images(32, "Training images whose losses Taylor importance asks.")


class Quantize(Settings):
    """What `quantize` takes."""

    weights: int = Field(default=8, ge=2, le=8, description="Bits of a weight.")
    activations: int | None = Field(
        default=8, ge=2, le=8, description="Bits of an activation; `false` leaves them float."
    )
    scope: Scope = Field(default="all", description="Part of the detector.")
    keep: Literal["none", "outputs", "head"] = Field(
        default="none", description="What stays float: nothing, the layers that predict classes and boxes, the head."
    )
    rounding: Literal["minmax", "mse"] = Field(default="mse", description="How a channel's scale is found.")
    calibrator: Literal["minmax", "percentile", "mse"] = Field(
        default="mse", description="How an activation's range is found."
    )
    percentile: float = Field(default=99.99, gt=50, lt=100, description="Of the calibrator of that name.")
    images: int = _images(32, "To calibrate with, evenly spaced through the training data.")
    fold: bool = Field(default=True, description="Fold batch norms into the layers before them.")
    correct: bool = Field(
        default=True, description="Let biases, where a layer has one, take back what rounding does to means of results."
    )
    rest: Literal["fp16", "raw"] = Field(
        default="fp16", description="Biases, norms and the weights that are kept: rounded to half precision, or not."
    )


class Half(Settings):
    """What `half` takes: nothing."""


class Share(Settings):
    """What `share` takes."""

    bits: int = Field(default=5, ge=2, le=8, description="Of an index; so many bits tell 2^bits values apart.")
    table: Literal["layer", "global"] = Field(default="layer", description="Whether layers have values of their own.")
    scope: Scope = Field(default="all", description="Part of the detector.")
    small: int = Field(
        default=4096,
        ge=0,
        description="Layers of fewer weights, which have a table of their own, take 8 bits: depthwise ones are most of "
        "them, carry much and weigh little.",
    )


class Code(Settings):
    """What `code` takes."""

    codec: str = Field(default="smallest", description="Chain of codecs; what it rounds is rounded in the detector.")
    half: bool = Field(
        default=True, description="Whether statistics are merged into scales, and all numbers rounded to halves, first."
    )

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

    images: int = _images(64, "So many training images are looked at.")
    batch_size: int = Field(default=8, ge=1, le=4096, description="Images in a forward pass.")


class FineTune(Settings):
    """What `fine-tune` takes: linear warm-up, then a cosine down to nearly nothing."""

    epochs: float = Field(default=4, gt=0, le=10_000, description="Passes through the training data.")
    learning_rate: float = Field(default=3e-4, gt=0, description="Largest, of AdamW.")
    backbone_factor: float = Field(
        default=1.0, ge=0, description="Learning rate of the backbone, relative to the rest."
    )
    batch_size: int = Field(default=8, ge=1, le=4096, description="Images in a step.")
    warmup_steps: int = Field(
        default=20, ge=0, le=1_000_000, description="In which the learning rate rises from nothing."
    )
    weight_decay: float = Field(default=0.05, ge=0, description="Of matrices and kernels; biases and norms have none.")
    ema_decay: float = Field(default=0.99, ge=0, lt=1, description="Of the averaged weights that are the result.")
    plain_fraction: float = Field(default=0.25, ge=0, le=1, description="Last part without mosaic and pasting.")
    like: str | None = Field(
        default=None,
        description="Training recipe whose augmentation to use; by default the bundled reference's, at the size that "
        "the detector sees, and without pasting where no masks are.",
    )


class Distil(FineTune):
    """What `distil` takes: what `fine-tune` does, and the weights of the imitation."""

    features: float = Field(default=1.0, ge=0, description="Weight of the features' loss, a mean over levels.")
    outputs: float = Field(default=1.0, ge=0, description="Weight of the outputs' loss.")


class FromScratch(FineTune):
    """What `from-scratch` takes: what `fine-tune` does, faster. Give it the epochs that it is compared with."""

    learning_rate: float = Field(default=1.5e-3, gt=0, description="Largest, of AdamW.")


WEIGHTS = Method(
    settings=Weights,
    apply=f"{_METHODS}._zeroing:prune_weights",
    summary="global unstructured pruning: the weights of least magnitude become zero",
    source="Han et al. (2015), Learning both Weights and Connections for Efficient Neural Networks; as in "
    "Muhawenayo & Gkioxari (2021), Compressed Object Detection",
    family="pruning",
    keeps=True,
    splits=True,
)
UNITS = Method(
    settings=Units,
    apply=f"{_METHODS}._zeroing:prune_units",
    summary="unit pruning: in each layer the filters or rows of least L2 norm become zero",
    source="Muhawenayo & Gkioxari (2021), Compressed Object Detection",
    family="pruning",
    keeps=True,
    splits=True,
)
KERNELS = Method(
    settings=Kernels,
    apply=f"{_METHODS}._zeroing:prune_kernels",
    summary="kernel pruning: the k x k slices of least L1 norm become zero",
    source='Frühwirth (2024), "Global Kernel Level Filter Pruning" read as pruning of kernels',
    family="pruning",
    keeps=True,
    splits=True,
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
    summary="k-means weight sharing: 2 to 8 bits tell the values of a layer apart",
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
RECALIBRATE = Method(
    settings=Recalibrate,
    apply=f"{_METHODS}._recalibration:recalibrate",
    summary="new statistics for batch norms, so that channels keep the mean and spread of the dense detector",
    source="Jordan et al. 2023, REPAIR: REnormalizing Permuted Activations for Interpolation Repair",
    family="recovery",
    needs_data=True,
    norms="matches",
)
FINE_TUNE = Method(
    settings=FineTune,
    apply=f"{_METHODS}._retraining:fine_tune",
    summary="train on, with what earlier steps imposed kept true",
    source="Han et al. 2015, Learning both Weights and Connections for Efficient Neural Networks",
    family="recovery",
    needs_data=True,
    norms="trains",
)
DISTIL = Method(
    settings=Distil,
    apply=f"{_METHODS}._retraining:distil",
    summary="fine-tune with the features and outputs of the dense detector as further targets",
    source="Cao et al. 2022, PKD (features); Chen et al. 2017 (outputs)",
    family="recovery",
    needs_data=True,
    norms="trains",
)
FROM_SCRATCH = Method(
    settings=FromScratch,
    apply=f"{_METHODS}._retraining:from_scratch",
    summary="the control: the compressed shape trained from random weights",
    source="Liu et al. 2019, Rethinking the Value of Network Pruning",
    family="recovery",
    needs_data=True,
    norms="replaces",
)
