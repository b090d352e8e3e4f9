"""The last step of Deep Compression: numbers that a file stores in few bytes, and the way it stores them."""

from __future__ import annotations

import torch
from pydantic import Field, field_validator
from torch import nn

from wildbench.compression.recovery import norms_of
from wildbench.compression.subject import Method, Settings, Subject, Workshop
from wildbench.errors import SubmissionError
from wildbench.submissions.codecs import HALF, decode, encode, parse


class Code(Settings):
    """Settings of `code`."""

    codec: str = Field(default="smallest", description="Chain of codecs; what it rounds is rounded in the detector.")
    half: bool = Field(
        default=True, description="Whether statistics are merged into scales, and all numbers rounded to halves, first."
    )

    @field_validator("codec")
    @classmethod
    def _known(cls, codec: str) -> str:
        for way in codec.split(",") if codec != "smallest" else []:
            try:
                parse(way)
            except SubmissionError as error:
                raise ValueError(str(error)) from None
        return codec


@torch.no_grad()
def code(subject: Subject, settings: Code, workshop: Workshop) -> None:
    """Round what is left, centroids, biases and norms, to half precision, and store all by a chain of codecs.

    Rounding a table of centroids keeps equal weights equal. A tensor that halves cannot hold stays as it is.
    """
    if settings.half:
        merge_statistics(subject.model)
    for name, tensor in subject.model.state_dict().items():
        if settings.half and HALF.accepts(tensor):
            tensor.copy_(tensor.half())
        if settings.codec != "smallest":  # which takes its time, and which saving does too
            subject.records[name] = encode(tensor, settings.codec)
            tensor.copy_(decode(subject.records[name], name))
    subject.codec = settings.codec
    halves = "in half precision, " if settings.half else ""
    subject.history.append(f"{halves}stored by {settings.codec}")


@torch.no_grad()
def merge_statistics(model: nn.Module) -> None:
    """Move the statistics of batch norms into their scales and shifts: means become 0 and variances 1.

    The norms compute what they did, up to rounding; two of their four vectors then take next to no bytes, and small
    variances, of which half precision would keep few digits, are gone.
    """
    for norm in norms_of(model).values():
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        norm.bias.copy_(norm.bias.double() - norm.running_mean.double() * scale)
        norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
        norm.running_mean.zero_()
        norm.running_var.fill_(1)


METHODS = {
    "code": Method(
        Code,
        code,
        summary="half-precision centroids, biases and norms, and entropy coding",
        source="Han et al. 2016, Deep Compression",
        last=True,
    )
}
