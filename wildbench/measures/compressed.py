"""Figures of a compressed network's arithmetic, from counted MACs and the weights they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from statistics import fmean

from wildbench.measures import micronet
from wildbench.measures.bit_operations import bit_operations, nonzero_macs
from wildbench.measures.macs import Count
from wildbench.measures.operands import Operands
from wildbench.scorecard import Figure, MicroNet, read_scorecard

REFERENCE = "baselines/scorecards/reference.json"
"""The scorecard of the network that MicroNet's score is relative to: the bundled dense detector."""


def compressed_figures(counts: Sequence[Count], operands: Operands) -> tuple[Figure, Figure, MicroNet]:
    """MACs that zeros would save, bit operations, and MicroNet's costs, as means over the images that were counted.

    Args:
        counts: One an image.
        operands: What they multiply.
    """
    unknown = next((reason for one in counts if (reason := operands.unknown_in(one))), None)
    if not counts:
        unknown = "no image was counted"

    def mean(unit: str, of: Callable[[Count, Operands], int | Fraction], caution: str | None = None) -> Figure:
        if unknown:
            return Figure.undefined(unit, unknown)
        value = fmean(float(of(one, operands)) for one in counts)
        return Figure(value=value, unit=unit, n=len(counts), caution=caution)

    return (
        mean("MAC", nonzero_macs),
        mean("BOP", bit_operations, operands.caution),
        _micronet(operands, mean("operations", micronet.operations, operands.caution)),
    )


def _micronet(operands: Operands, operations: Figure) -> MicroNet:
    name, reference = reference_cost()
    unknown = operands.unknown
    tensors = sum(weight.parameter for weight in operands.weights.values())
    stored = None if unknown else micronet.storage(operands)
    storage = _figure(stored, "parameters", tensors, unknown)
    if stored is None or operations.value is None:
        score = Figure.undefined("1", unknown or operations.reason or "")
    else:
        entry = micronet.Cost(stored, Fraction(operations.value))
        value = float(micronet.score(entry, reference))
        score = Figure(value=value, unit="1", n=operations.n, caution=operands.caution)
    return MicroNet(
        score=score,
        storage=storage,
        operations=operations,
        freebie=None if unknown else micronet.is_free(operands),
        reference=name,
        reference_storage=Figure(value=float(reference.storage), unit="parameters"),
        reference_operations=Figure(value=float(reference.operations), unit="operations"),
    )


def _figure(value: Fraction | None, unit: str, n: int, unknown: str | None) -> Figure:
    return Figure.undefined(unit, unknown or "") if value is None else Figure(value=float(value), unit=unit, n=n)


@lru_cache(maxsize=1)
def reference_cost() -> tuple[str, micronet.Cost]:
    """The reference network's description, and what it costs at 32 bits, as MobileNetV2 did in the challenge.

    Read from its committed scorecard: all of its parameters, and a multiplication and an addition for each of its MACs.
    """
    from wildbench.resources import bundled

    card = read_scorecard(bundled(REFERENCE))
    size, compute = card.size, card.compute
    if size is None or compute is None or size.parameters.value is None or compute.flops.value is None:
        raise ValueError(f"{REFERENCE}: counts no parameters or no MACs")
    name = f"{card.submission.name} ({card.submission.sha256[:12]}) on {card.dataset.name} {card.dataset.split}"
    return name, micronet.Cost(Fraction(size.parameters.value), Fraction(compute.flops.value))
