"""How much arithmetic one image takes: multiply-accumulates of one forward pass, as a mean over real images.

`count` runs in the detector's process, and only there; `measure_compute` asks for it and makes the figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import DetectorError
from wildbench.measures.compute._count import Count, Operands
from wildbench.scorecard import Compute, Figure
from wildbench.submissions.process import ask

if TYPE_CHECKING:
    from wildbench.measures.compute._litert_counter import LiteCounter
    from wildbench.measures.compute._onnx_counter import OnnxCounter
    from wildbench.measures.compute._openvino_counter import OpenVinoCounter
    from wildbench.submissions.formats import (
        Inputs,
        LiteBackend,
        NcnnBackend,
        OnnxBackend,
        OpenVinoBackend,
        TorchBackend,
    )
    from wildbench.submissions.process import Opened, Sandbox

Image = npt.NDArray[np.uint8]


def measure_compute(box: Sandbox, images: Iterable[Image], operands: Operands) -> Compute:
    """Count the multiply-accumulates of a submission on real images.

    Args:
        box: The open submission. Counting is slow beside a plain pass: give it a sample, after the timing is done.
        images: uint8, H x W x 3, RGB; figures are means over them, null with the reason where counting fails.
        operands: What they multiply, by `operands_of`.

    Example:
        >>> operands = operands_of(inspect_submission("submission.pt"))  # doctest: +SKIP
        >>> with Sandbox("submission.pt") as box:  # doctest: +SKIP
        ...     measure_compute(box, images, operands).macs.value
        583171904.0
    """
    try:
        counts = [ask(box, "wildbench.measures.compute:count", Count, image) for image in images]
    except DetectorError as error:  # what was measured before stands: counting takes time and memory of its own
        counts = [Count(unseen=f"counting failed: {error.what}")]
    return summarise(counts, operands)


def count(opened: Opened, image: Image) -> dict[str, Any]:
    """Count one forward pass on one image; runs in the child, which imports only what its format needs."""
    if opened.format.counter is None:
        return Count(unseen=f"nothing counts {opened.format.title}").model_dump()
    module, _, function = opened.format.counter.partition(":")
    counted = getattr(import_module(module), function)(opened.backend, opened.prepare(image))
    return Count.model_validate(counted).model_dump()


def count_torch(backend: TorchBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of a torch module."""
    from wildbench.measures.compute._torch_counter import count_macs

    return count_macs(lambda: backend.forward(inputs), backend.module).model_dump()


def count_onnx(backend: OnnxBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of an ONNX graph."""
    return _onnx_counter(backend).count(list(inputs.values())).model_dump()


@lru_cache(maxsize=1)
def _onnx_counter(backend: OnnxBackend) -> OnnxCounter:
    from wildbench.measures.compute._onnx_counter import OnnxCounter

    return OnnxCounter(backend.graph)


def count_openvino(backend: OpenVinoBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of an OpenVINO graph."""
    return _openvino_counter(backend).count(inputs).model_dump()


@lru_cache(maxsize=1)
def _openvino_counter(backend: OpenVinoBackend) -> OpenVinoCounter:
    from wildbench.measures.compute._openvino_counter import OpenVinoCounter

    return OpenVinoCounter(backend)


def count_litert(backend: LiteBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of a LiteRT graph."""
    return _litert_counter(backend).count(inputs).model_dump()


@lru_cache(maxsize=1)
def _litert_counter(backend: LiteBackend) -> LiteCounter:
    from wildbench.measures.compute._litert_counter import LiteCounter

    return LiteCounter(backend)


def count_ncnn(backend: NcnnBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of an ncnn network."""
    from wildbench.measures.compute._ncnn_counter import count_layers

    return count_layers(backend, inputs).model_dump()


def summarise(counts: Sequence[Count], operands: Operands) -> Compute:
    """Make figures of the counts of some images.

    Example:
        >>> summarise([Count(by_module={"head": 30}), Count(by_module={"head": 50})], Operands()).macs.value
        40.0
    """
    unseen = next((one.unseen for one in counts if one.unseen), None if counts else "no image was counted")

    def mean(unit: str, numbers: list[int]) -> Figure:
        return Figure.undefined(unit, unseen) if unseen else Figure(value=fmean(numbers), unit=unit, n=len(numbers))

    modules = sorted(set().union(*(one.by_module for one in counts)))
    operators = sorted(set().union(*(one.uncounted for one in counts)))
    proposals, each = _stages(counts, unseen)
    unknown = next((reason for one in counts if (reason := operands.unknown_in(one))), unseen)

    def weighed(unit: str, of: Callable[[Count, Operands], Fraction | int], caution: str | None = None) -> Figure:
        if unknown:
            return Figure.undefined(unit, unknown)
        value = fmean(float(of(one, operands)) for one in counts)
        return Figure(value=value, unit=unit, n=len(counts), caution=caution)

    return Compute(
        macs=mean("MAC", [one.macs for one in counts]),
        flops=mean("FLOP", [2 * one.macs for one in counts]),
        nonzero_macs=weighed("MAC", nonzero_macs),
        bops=weighed("BOP", bit_operations, operands.caution),
        operand_bits=None if unknown else operand_bits(counts, operands),
        proposals=proposals,
        macs_per_proposal=each,
        by_module={name: mean("MAC", [one.by_module.get(name, 0) for one in counts]) for name in modules},
        uncounted={name: fmean(one.uncounted.get(name, 0) for one in counts) for name in operators},
    )


def _stages(counts: Sequence[Count], unseen: str | None) -> tuple[Figure, Figure]:
    """Proposals and the MACs of each: the first pooling's regions. Those of a second one, for masks, are detections."""
    first = [one.stages[0] for one in counts if one.stages]
    reason = unseen or (None if first else "the detector pools no regions: it has one stage")
    if reason:
        return Figure.undefined("proposals", reason), Figure.undefined("MAC", reason)
    regions = sum(stage.regions for stage in first)
    proposals = Figure(value=regions / len(counts), unit="proposals", n=len(counts))
    if not regions:
        return proposals, Figure.undefined("MAC", "no image had a proposal")
    return proposals, Figure(value=sum(stage.macs for stage in first) / regions, unit="MAC", n=regions)


def nonzero_macs(count: Count, operands: Operands) -> Fraction:
    """MACs whose weight is not zero: what a machine that skips every zero weight would do. Theoretical."""
    skipping = (weight.nonzero_macs(macs) if weight else Fraction(macs) for macs, weight, _ in operands.of(count))
    return sum(skipping, Fraction())


def bit_operations(count: Count, operands: Operands) -> int:
    """BOPs as in van Baalen et al., *Bayesian Bits* (NeurIPS 2020): MACs x weight bits x activation bits.

    Summed over the weights; a product of two activations has their bits twice. MACs are dense, as everywhere.
    """
    return sum(macs * bits * (weight.bits if weight else bits) for macs, weight, bits in operands.of(count))


def operand_bits(counts: Sequence[Count], operands: Operands) -> dict[str, float]:
    """The share of all MACs by what they multiply: "8x32" stands for a weight of 8 bits and an activation of 32.

    Example:
        >>> operand_bits([Count(by_module={"head": 30})], Operands(activation_bits=8))
        {'8x8': 1.0}
    """
    shares: Counter[str] = Counter()
    for macs, weight, bits in (part for one in counts for part in operands.of(one)):
        shares[f"{weight.bits if weight else bits}x{bits}"] += macs
    return {pair: macs / shares.total() for pair, macs in sorted(shares.items()) if macs}
