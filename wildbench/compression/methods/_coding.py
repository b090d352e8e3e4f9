"""Deep Compression (Han et al., ICLR 2016): weight sharing, and numbers that a file stores in few bytes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from wildbench.compression.catalogue import Code, Share
from wildbench.compression.methods._recalibration import norms_of
from wildbench.compression.subject import Subject, Workshop, prunable
from wildbench.submissions.codecs import HALF, decode, encode

Vector = npt.NDArray[np.float64]

MOST_STEPS = 1000
"""Of k-means; it usually converges long before."""

FINE = 8
"""Bits in small layers."""


def kmeans(values: npt.NDArray[np.floating], k: int) -> Vector:
    """At most `k` centroids of finite numbers `[n]`, float64, ascending and distinct; empty clusters are left out.

    They start evenly between the least and the largest, as in Deep Compression (section 3.2): that keeps centroids for
    the few large weights, which matter most. Clusters of numbers are intervals, so that sums over them are differences
    of one cumulative sum, and 40 million numbers take as long as sorting them. Nothing is random.
    """
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered, dtype=np.float64)])
    centroids = np.linspace(float(ordered[0]), float(ordered[-1]), k) if k > 1 else np.array([sums[-1] / len(ordered)])
    for _ in range(MOST_STEPS):
        ends = _ends(ordered, centroids)
        counts, totals = np.diff(ends), np.diff(sums[ends])
        moved = np.where(counts > 0, totals / np.maximum(counts, 1), centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    used: Vector = np.unique(centroids[np.diff(_ends(ordered, centroids)) > 0])
    return used


def nearest(values: npt.NDArray[np.floating], centroids: Vector) -> npt.NDArray[np.int64]:
    """Index of the nearest of ascending centroids for each number; half-way between two, that of the lesser."""
    borders = ((centroids[1:] + centroids[:-1]) / 2).astype(values.dtype)
    return np.searchsorted(borders, values, side="left")


def _ends(ordered: npt.NDArray[np.floating], centroids: Vector) -> npt.NDArray[np.int64]:
    """Where the numbers nearest to each centroid begin and end: [k + 1]."""
    borders = ((centroids[1:] + centroids[:-1]) / 2).astype(ordered.dtype)
    inside = np.searchsorted(ordered, borders, side="right")
    return np.concatenate([[0], inside, [len(ordered)]])


def share(subject: Subject, settings: Share, workshop: Workshop) -> None:
    """Replace weights by centroids of k-means; zeros stay zero and take one of the values.

    Later training moves the centroids: a step moves each weight, and then all that share a value take their mean.
    """
    names = [f"{name}.weight" for name in prunable(subject.model, settings.scope)]
    groups = [[name] for name in names] if settings.table == "layer" else [names]
    finer = False
    for done, group in enumerate(groups, 1):
        weights = [subject.model.get_parameter(name) for name in group]
        fine = settings.table == "layer" and weights[0].numel() < settings.small
        finer |= fine and settings.bits < FINE
        indices = clusters(weights, 2 ** (FINE if fine else settings.bits))
        subject.joint.append(partial(_tie, names=group, indices=indices))
        workshop.progress("share weights", done, len(groups))
    subject.obey()
    tables = "a table a layer" if settings.table == "layer" else "one table"
    tables += f", {FINE} bits in layers of fewer than {settings.small:,} weights" * finer
    subject.history.append(f"weights of {settings.scope} shared by {settings.bits} bits, {tables}")


def clusters(weights: Sequence[Tensor], values: int) -> list[Tensor]:
    """The cluster of each weight, uint8 of each tensor's shape; 0 is for zeros alone.

    Tensors of any shapes share at most that many values, zero included if there is one.
    """
    arrays = [weight.detach().cpu().numpy() for weight in weights]
    nonzero = np.concatenate([array[array != 0] for array in arrays])
    size = sum(array.size for array in arrays)
    if not nonzero.size:
        return [torch.zeros(array.shape, dtype=torch.uint8) for array in arrays]
    centroids = kmeans(nonzero, min(values - (nonzero.size < size), 255))
    codes = [np.where(array == 0, 0, nearest(array, centroids) + 1) for array in arrays]
    return [torch.from_numpy(code.astype(np.uint8)) for code in codes]


def tied(weights: Sequence[Tensor], indices: Sequence[Tensor]) -> list[Tensor]:
    """The mean of each cluster in place of its weights, and zero in cluster 0.

    They are on the CPU, where sums have one order and so the same bits each time.
    """
    flat = [index.flatten().long() for index in indices]
    sums, counts = torch.zeros(256, dtype=torch.float64), torch.zeros(256, dtype=torch.float64)
    for weight, index in zip(weights, flat, strict=True):
        sums += torch.bincount(index, weight.detach().cpu().flatten().double(), 256)
        counts += torch.bincount(index, minlength=256)
    means = sums / counts.clamp(min=1)
    means[0] = 0
    return [means[at].to(weight.dtype).view(weight.shape) for weight, at in zip(weights, flat, strict=True)]


def _tie(model: nn.Module, names: Sequence[str], indices: Sequence[Tensor]) -> None:
    weights = [model.get_parameter(name) for name in names]
    for weight, value in zip(weights, tied(weights, indices), strict=True):
        weight.copy_(value)


@torch.no_grad()
def code(subject: Subject, settings: Code, workshop: Workshop) -> None:
    """Round all numbers to half precision, and store them by a chain of codecs.

    Rounding a table of centroids keeps equal weights equal. A tensor beyond the range of halves stays as it is.
    """
    if settings.half:
        merge_statistics(subject.model)
    for name, tensor in subject.model.state_dict().items():
        if settings.half and HALF.accepts(tensor):
            tensor.copy_(tensor.half())
        if settings.codec != "smallest":  # which is slow, and which saving finds anyway
            subject.records[name] = encode(tensor, settings.codec)
            tensor.copy_(decode(subject.records[name], name))
    subject.codec = settings.codec
    halves = "in half precision, " if settings.half else ""
    subject.history.append(f"{halves}stored by {settings.codec}")


@torch.no_grad()
def merge_statistics(model: nn.Module) -> None:
    """Move the statistics of batch norms into their scales and shifts: means become 0 and variances 1.

    Two of a norm's four vectors then take hardly any bytes, and no small variance loses digits in half precision.
    """
    for norm in norms_of(model).values():
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        norm.bias.copy_(norm.bias.double() - norm.running_mean.double() * scale)
        norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
        norm.running_mean.zero_()
        norm.running_var.fill_(1)
