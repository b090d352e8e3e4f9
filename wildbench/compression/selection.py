"""Which channels go: by rank over all layers, or the same part of each."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from wildbench.compression.coupling import Channels


def chunks(channels: Channels, scores: Tensor, round_to: int) -> list[list[int]]:
    """Channels in the order in which they go, in chunks after each of which a multiple of `round_to` is left.

    The last chunk would empty the layer and is not among them.

    Args:
        channels: Of one width; those of a group norm go by whole groups.
        scores: Importance, `[width]`.
        round_to: Widths that are left are multiples of it.

    Example:
        >>> four = Channels(width=4, slices=(), block=1, root=torch.nn.Identity())
        >>> chunks(four, torch.tensor([3.0, 1.0, 2.0, 4.0]), 1), chunks(four, torch.tensor([3.0, 1.0, 2.0, 4.0]), 3)
        ([[1], [2], [0]], [[1]])
    """
    runs = scores.view(-1, channels.block)
    order = torch.argsort(runs.mean(1), stable=True)
    indices = torch.arange(channels.width).view(-1, channels.block)[order].flatten().tolist()
    step = math.lcm(round_to, channels.block)
    edges = [0, *range(channels.width % step or step, channels.width, step)]
    return [indices[start:end] for start, end in itertools.pairwise(edges)]


def uniform(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """From each of the channels the least important `ratio`, to the nearest chunk.

    Returns:
        For each: the indices that go.
    """
    gone = []
    for one, score in zip(channels, scores, strict=True):
        prefixes: list[list[int]] = [[]]
        for chunk in chunks(one, score, round_to):
            prefixes.append(prefixes[-1] + chunk)
        gone.append(min(prefixes, key=lambda prefix: abs(len(prefix) - ratio * one.width)))
    return gone


def ranked(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """The chunks of least mean score in all layers, until `ratio` of all filters is gone and never more.

    At least `round_to` channels of each are left, or scores of very different scale would empty whole layers.

    Returns:
        For each: the indices that go.
    """
    budget = ratio * sum(one.width * len(one.filters) for one in channels)
    gone: list[list[int]] = [[] for _ in channels]
    waiting = [chunks(one, score, round_to)[::-1] for one, score in zip(channels, scores, strict=True)]
    heap = [
        (float(score[left[-1]].mean()), number)
        for number, (score, left) in enumerate(zip(scores, waiting, strict=True))
        if left
    ]
    heapq.heapify(heap)
    while heap:
        _, number = heapq.heappop(heap)
        chunk = waiting[number].pop()
        cost = len(chunk) * len(channels[number].filters)
        if cost > budget:
            continue  # nothing more of these; what is left may be enough for others
        budget -= cost
        gone[number] += chunk
        if waiting[number]:
            heapq.heappush(heap, (float(scores[number][waiting[number][-1]].mean()), number))
    return gone
