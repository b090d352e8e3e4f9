"""How much arithmetic one image takes: multiply-accumulates of one forward pass, as a mean over real images.

`count` runs in the detector's process, and only there; `measure_pass` asks for it and makes the figures.
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

from wildbench.datasets.images import decode, read_ahead
from wildbench.errors import DetectorError
from wildbench.measures.compute._count import Count, Found, Operands
from wildbench.measures.repetition import difference
from wildbench.progress import Progress, silent
from wildbench.scorecard import Compute, Figure
from wildbench.submissions.preprocess import place
from wildbench.submissions.process import ask

if TYPE_CHECKING:
    from wildbench.measures.compute._litert_counter import LiteCounter
    from wildbench.measures.compute._onnx_counter import OnnxCounter
    from wildbench.measures.compute._openvino_counter import OpenVinoCounter
    from wildbench.measures.repetition import Showing
    from wildbench.submissions.formats import (
        Inputs,
        LiteBackend,
        NcnnBackend,
        OnnxBackend,
        OpenVinoBackend,
        TorchBackend,
    )
    from wildbench.submissions.process import Answer, Opened, Sandbox

Image = npt.NDArray[np.uint8]

COUNT = "wildbench.measures.compute:count"


class Counted(Count):
    """What one pass takes, and what it found; null where its counter does not keep the outputs."""

    found: Found | None = None


DIFFERENCE = 0.1
"""Share of what is detected, by score, in which the counted passes may differ from the timed ones."""

MOST_FOUND = 300


def measure_compute(box: Sandbox, images: Iterable[Image], operands: Operands) -> Compute:
    """Count the multiply-accumulates of a submission on some images.

    Args:
        box: The open submission.
        images: uint8, H x W x 3, RGB; figures are means over them, null with the reason where counting fails.
        operands: What they multiply, by `operands_of`.

    Example:
        >>> operands = operands_of(inspect_submission("submission.pt"))  # doctest: +SKIP
        >>> with Sandbox("submission.pt") as box:  # doctest: +SKIP
        ...     measure_compute(box, images, operands).macs.value
        583171904.0
    """
    return summarise(_unless_it_fails(lambda: [ask(box, COUNT, Count, image) for image in images]), operands)


def measure_pass(
    box: Sandbox,
    warm: Sequence[Showing],
    showings: Sequence[Showing],
    answers: Sequence[Answer],
    operands: Operands,
    progress: Progress = silent,
) -> Compute:
    """Count the multiply-accumulates of a whole pass, over every image that was scored.

    Where the graph alone tells that each image of a size takes the same, one of each size is counted. Elsewhere a
    second process, which has seen nothing yet, is shown what the first one was, in the same order, and counts as it
    runs: whatever the first one kept or drew from call to call, this one does too. What it finds must be what the
    first one found.

    Args:
        box: The open submission, after its time was taken: counting takes time and memory of its own.
        warm: What the warm-up showed.
        showings: What the pass showed.
        answers: To each of them.
        operands: What they multiply, by `operands_of`.
        progress: Called as `progress(task, done, total)` where the whole pass is counted.
    """
    return summarise(_unless_it_fails(lambda: _count_pass(box, warm, showings, answers, progress)), operands)


def _unless_it_fails(count: Callable[[], list[Count]]) -> list[Count]:
    try:
        return count()
    except DetectorError as error:  # what was measured before stands
        return [Count(unseen=f"counting failed: {error.what}")]


def _count_pass(
    box: Sandbox, warm: Sequence[Showing], showings: Sequence[Showing], answers: Sequence[Answer], progress: Progress
) -> list[Count]:
    scored = [showing for showing in showings if showing.scored]
    counts: dict[tuple[int, int], Count] = {}
    for showing in scored:
        size = place(box.manifest.input, *showing.shape).canvas
        if size not in counts:
            counts[size] = ask(box, COUNT, Count, decode(showing.path))
            if counts[size].unseen:
                return [counts[size]]
            if not counts[size].fixed:
                return _replay(box, warm, showings, answers, progress)
    return [counts[place(box.manifest.input, *showing.shape).canvas] for showing in scored]


def _replay(
    box: Sandbox, warm: Sequence[Showing], showings: Sequence[Showing], answers: Sequence[Answer], progress: Progress
) -> list[Count]:
    counts: list[Count] = []
    lost, whole = 0.0, 0.0
    with box.twin() as twin:
        for showing in warm:
            ask(twin, COUNT, Counted, showing.of(decode(showing.path)), compare=True)
        pixels = read_ahead([showing.path for showing in showings])
        for turn, (showing, image, answer) in enumerate(zip(showings, pixels, answers, strict=True), 1):
            counted = ask(twin, COUNT, Counted, showing.of(image), compare=True)
            if showing.scored:
                counts.append(Count(**counted.model_dump(exclude={"found"})))
            if counted.found is not None:
                parts = difference(answer.detections, counted.found.detections(), pixels=None, score=0.25)
                lost, whole = lost + parts[0], whole + parts[1]
            progress(f"count {box.manifest.name}", turn, len(showings))
    if lost > DIFFERENCE * whole:
        share = f"{100 * lost / whole:.0f} % of the detections, by score"
        return [Count(unseen=f"what it finds while it is counted differs from what it found before, in {share}")]
    return counts


def count(opened: Opened, image: Image, compare: bool = False) -> dict[str, Any]:
    """Count one forward pass on one image; runs in the child, which imports only what its format needs."""
    if opened.format.counter is None:
        return Count(unseen=f"nothing counts {opened.format.title}").model_dump()
    module, _, function = opened.format.counter.partition(":")
    counted = getattr(import_module(module), function)(opened.backend, opened.prepare(image))
    found = None
    if compare and "outputs" in counted:
        answer = opened.decode(counted["outputs"], *image.shape[:2])
        best = np.argsort(-answer.scores, kind="stable")[:MOST_FOUND]
        parts = {name: getattr(answer, name)[best].tolist() for name in ("boxes", "labels", "scores")}
        found = Found.model_validate(parts)
    whole = Counted.model_validate({**counted, "found": found})
    if opened.module is not None and not opened.format.runs_code:  # a known architecture, whose regions alone vary
        whole.fixed = not whole.stages
    return whole.model_dump()


def count_torch(backend: TorchBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of a torch module."""
    from wildbench.measures.compute._torch_counter import count_macs

    answers: list[Any] = []
    counted = count_macs(lambda: answers.append(backend.forward(inputs)), backend.module).model_dump()
    return counted | ({"outputs": backend.arrays(answers[0])} if answers else {})


def count_onnx(backend: OnnxBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of an ONNX graph."""
    counter = _onnx_counter(backend)
    return counter.count(list(inputs.values())).model_dump() | {"outputs": counter.outputs}


@lru_cache(maxsize=1)
def _onnx_counter(backend: OnnxBackend) -> OnnxCounter:
    from wildbench.measures.compute._onnx_counter import OnnxCounter

    return OnnxCounter(backend.graph)


def count_openvino(backend: OpenVinoBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of an OpenVINO graph, whose shapes are inferred from the input's."""
    return _openvino_counter(backend).count(inputs).model_dump() | {"fixed": True}


@lru_cache(maxsize=1)
def _openvino_counter(backend: OpenVinoBackend) -> OpenVinoCounter:
    from wildbench.measures.compute._openvino_counter import OpenVinoCounter

    return OpenVinoCounter(backend)


def count_litert(backend: LiteBackend, inputs: Inputs) -> dict[str, Any]:
    """Count a pass of a LiteRT graph."""
    counter = _litert_counter(backend)
    return counter.count(inputs).model_dump() | {"outputs": counter.outputs}


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
