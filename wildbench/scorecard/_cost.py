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
    Joules,
    Keyed,
    Label,
    Listed,
    Macs,
    Milliseconds,
    Parameters,
    Proposals,
    Ratio,
    Record,
    Share,
    Throughput,
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


class LatencySession(Record):
    """What one fresh process took."""

    p50: Amount | None = Field(description="In ms, of the calls that are kept; null where too few are.")
    p90: Amount | None = Field(description="The same.")
    n: Count = Field(description="Calls that are kept.")
    ratio: Amount | None = Field(description="p50 over that of the reference network in this session.")
    kept: Count = Field(description="Blocks of calls that nothing disturbed.")
    discarded: Keyed[Count] = Field(description="Blocks that something disturbed, by what it was.")
    used: bool = Field(description="Whether it counts: at least half of its blocks are kept.")
    cold_start: Amount | None = Field(default=None, description="ms from starting the process to its first answer.")
    clock: Amount | None = Field(default=None, description="Median clock in MHz, where the machine tells.")
    temperature: Amount | None = Field(default=None, description="Degrees Celsius, where the machine tells.")


class SustainedMinute(Record):
    """One minute of a long run."""

    p50: Amount
    p90: Amount
    n: Count
    clock: Amount | None = None
    temperature: Amount | None = None


class Sustained(Record):
    """One process that runs without a pause."""

    minutes: Listed[SustainedMinute] = Field(description="In ms, minute by minute.")
    degradation: Ratio = Field(description="p50 of the last minute over that of the first.")


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
    sessions: Listed[LatencySession] | None = Field(
        default=None,
        description="Fresh processes that were timed; null where the times are those of the one pass over all images.",
    )
    spread: Share | None = Field(default=None, description="Standard deviation of the sessions' p50 over their mean.")
    modes: tuple[Amount, Amount] | None = Field(
        default=None, description="Two times in ms between which it alternates; null where none were found."
    )
    stopped: Label | None = Field(default=None, description="Why no more was measured, and what is short of the aim.")
    budget: Amount | None = Field(default=None, description="Seconds of measuring that were allowed.")
    early_stopping: Milliseconds | None = Field(
        default=None, description="MLPerf's estimate of p99, which the true one does not exceed, with 99 % confidence."
    )
    cold_start: Milliseconds | None = Field(default=None, description="From starting a process to its first answer.")
    energy: Joules | None = Field(default=None, description="Of one image, by RAPL or NVML, with the machine's rest.")
    throughput: Throughput | None = Field(default=None, description="Images a second at the best batch.")
    by_threads: Keyed[Milliseconds] | None = Field(default=None, description="p50 of one session by CPU threads.")
    sustained: Sustained | None = Field(default=None, description="Of a long run, where one was asked for.")
