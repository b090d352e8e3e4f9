"""What a detector costs: bytes, arithmetic and time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from wildbench.scorecard._figure import (
    MOST_NUMBER,
    Bops,
    Bytes,
    Count,
    Flops,
    Keyed,
    Label,
    Listed,
    Macs,
    Milliseconds,
    Parameters,
    Proposals,
    Ratio,
    Record,
)

Amount = Annotated[float, Field(ge=0, le=MOST_NUMBER)]


class LayerBytes(Record):
    """What one layer takes in the file."""

    layer: Label = Field(description="Its module path, cut after three names and a number; last, what is no tensor.")
    bytes: Count


class Size(Record):
    """How many bytes it takes, and why."""

    file_bytes: Bytes = Field(description="The file as it is on disk, with what belongs to it: the headline.")
    parameters: Parameters
    nonzero: Parameters = Field(description="Parameters that are not zero.")
    dense_fp32_bytes: Bytes = Field(description="4 bytes a parameter: the usual denominator of compression ratios.")
    bitmask_bytes: Bytes = Field(description="Parameters as a bit each, and those not zero at their stored bits.")
    entropy_bytes: Bytes = Field(
        description="All tensors at the zeroth-order (memoryless) entropy of their stored symbols; no bound: runs and "
        "repetitions can be coded below it."
    )
    by_part: Keyed[Bytes] = Field(description="Stored bytes by part of the network; they sum to file_bytes.")
    by_layer: Listed[LayerBytes] | None = Field(
        description="Stored bytes in the order of the file, summing to file_bytes; null where its tensors cannot be "
        "listed."
    )


class Compute(Record):
    """How much arithmetic one image takes."""

    macs: Macs = Field(description="Multiply-accumulates an image, mean over real images.")
    flops: Flops = Field(description="2 x MACs.")
    nonzero_macs: Macs = Field(description="MACs whose weight is not zero. Theoretical: nothing here skips a zero.")
    bops: Bops = Field(description="Bit operations: MACs x weight bits x activation bits.")
    operand_bits: Keyed[Amount] | None = Field(
        description='Share of the MACs by the bits of what they multiply: "8x32" is a weight of 8 and an activation of '
        "32. null where the weights cannot be seen."
    )
    proposals: Proposals = Field(description="Mean number of region proposals an image, for two-stage detectors.")
    macs_per_proposal: Macs = Field(description="MACs that each proposal adds, for two-stage detectors.")
    by_module: Keyed[Macs] = Field(description="Mean MACs an image by module path.")
    uncounted: Keyed[Amount] = Field(
        description="Operators that calculate and that no rule counts, and how often an image runs them on average."
    )


class Latency(Record):
    """How long one image takes: host uint8 image in, host detections out, batch 1, by the parent's clock."""

    device: Label = Field(description="cpu, or the CUDA device's name.")
    threads: Count | None = None
    p50: Milliseconds
    p90: Milliseconds
    p99: Milliseconds
    mean: Milliseconds
    stages: Keyed[Milliseconds] = Field(description="Median of preprocess, forward, postprocess (by the child).")
    reference_ratio: Ratio = Field(description="p50 over that of the reference network interleaved with it.")
    reference: Label = Field(description="What the reference network is.")
    warmup_runs: Count
    peak_memory: Bytes = Field(description="Peak resident memory of the detector's process; GPU memory on CUDA.")
