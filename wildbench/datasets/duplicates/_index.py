"""Which images may show the same: an index from words, which are kinds of keypoints, to the images that have them.

Comparing all pairs of 20,000 images takes hours. But an altered copy keeps many of its keypoints, whatever was cropped,
turned or recoloured, and a word is rare: counting the words that two images share, the rarer the weightier, is a look
into short lists (Sivic and Zisserman, *Video Google*, ICCV 2003). A word is a pair of centres, one for each half of a
descriptor (Babenko and Lempitsky, *The Inverted Multi-Index*, CVPR 2012), so that a million words take two thousand
distances; a keypoint is looked up under the two nearest centres of each half, since it may lie between them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.datasets.duplicates._keypoints import Floats, Keypoints
from wildbench.datasets.duplicates._looks import Look
from wildbench.progress import Progress

Numbers = npt.NDArray[np.int64]

_SAMPLE = 20_000
"""Descriptors from which centres are made."""

_PER_WORD = 0.5
_MOST_CENTRES = 1024
_ROUNDS = 8
_LONGEST = 2000
"""Images of a word; of those that have a commoner one, such as a caption's, some are not looked at."""

_AT_ONCE = 256


class Candidate(NamedTuple):
    """Two images that may show the same, by their places; `score` is what they share, `b` mirrored or not."""

    a: int
    b: int
    score: float


def candidates(looks: Sequence[Look], parts: Sequence[int], most: int, progress: Progress) -> list[Candidate]:
    """For each image, the `most` others of other parts with which it shares most, the likeliest first."""
    counts = np.array([len(look.keypoints.points) for look in looks], np.int64)
    if len(looks) < 2 or not counts.sum():
        return []
    index = _Index(looks, counts, progress)
    membership = np.array(parts)

    def likely(number: int) -> list[Candidate]:
        scores = index.scores(looks[number].keypoints)
        scores[membership == membership[number]] = 0
        best = np.argpartition(-scores, min(most, len(scores) - 1))[:most]
        return [
            Candidate(min(number, other), max(number, other), float(scores[other]))
            for other in best[scores[best] > 0].tolist()
        ]

    every: dict[tuple[int, int], Candidate] = {}
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="look up") as pool:
        for start in range(0, len(looks), _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, len(looks)))
            for one in (one for row in pool.map(likely, numbers) for one in row):
                every[one[:2]] = max(every.get(one[:2], one), one, key=lambda each: each.score)
            progress("look up keypoints", numbers.stop, len(looks))
    return sorted(every.values(), key=lambda one: (-one.score, one.a, one.b))


class _Index:
    """The images that have each word, one list after the other."""

    def __init__(self, looks: Sequence[Look], counts: Numbers, progress: Progress) -> None:
        self.centres = _centres(looks, counts)
        words = np.empty(counts.sum(), np.int32)
        end = 0
        for number, look in enumerate(looks):
            start, end = end, end + counts[number]
            words[start:end] = self._words(look.keypoints, 1)
            progress("index keypoints", number + 1, len(looks))
        self.count = len(looks)
        self.images = np.repeat(np.arange(len(looks), dtype=np.int32), counts)[np.argsort(words, kind="stable")]
        lengths = np.bincount(words, minlength=len(self.centres[0]) ** 2)
        self.starts = np.cumsum(lengths) - lengths
        self.weights = np.log1p(self.count / np.maximum(lengths, 1)).astype(np.float32) ** 2
        self.steps = np.maximum(-(-lengths // _LONGEST), 1)  # sample long lists at this step
        self.lengths = lengths // self.steps

    def scores(self, keypoints: Keypoints) -> npt.NDArray[np.float64]:
        """What each image shares with one, as it is or mirrored, whichever is more [images]."""
        return np.maximum(*(self._shared(self._words(one, 2)) for one in (keypoints, keypoints.mirrored)))

    def _words(self, keypoints: Keypoints, nearest: int) -> npt.NDArray[np.int32]:
        """Words of keypoints, each of so many of the nearest centres of either half."""
        places = []
        for half, own in zip(np.split(keypoints.roots, 2, axis=1), self.centres, strict=True):
            near = half @ own.T - (own**2).sum(axis=1) / 2
            places.append(np.empty((len(near), nearest), np.int32))
            for rank in range(nearest):
                places[-1][:, rank] = near.argmax(axis=1)
                near[np.arange(len(near)), places[-1][:, rank]] = -np.inf
        return (places[0][:, :, None] * len(self.centres[0]) + places[1][:, None, :]).ravel()

    def _shared(self, words: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
        own = np.unique(words)
        lengths = self.lengths[own]
        firsts = np.cumsum(lengths) - lengths
        within = np.arange(lengths.sum()) - np.repeat(firsts, lengths)
        rows = np.repeat(self.starts[own], lengths) + within * np.repeat(self.steps[own], lengths)
        weights = np.repeat(self.weights[own], lengths)
        return np.asarray(np.bincount(self.images[rows], weights, self.count), np.float64)


def _centres(looks: Sequence[Look], counts: Numbers) -> list[Floats]:
    """Centres [centres, 64] of each half of the descriptors of some images, evenly spaced."""
    step = max(1, int(counts.sum()) // (4 * _SAMPLE))
    sample = np.concatenate([looks[number].keypoints.roots for number in range(0, len(looks), step)])
    sample = sample[:: max(1, len(sample) // _SAMPLE)]
    number = 2 ** round(np.log2(max(16, (counts.sum() / _PER_WORD) ** 0.5)))
    number = min(number, _MOST_CENTRES, len(sample))
    rounds = (cv2.TERM_CRITERIA_COUNT, _ROUNDS, 0.0)
    labels = np.empty(0, np.int32)  # none to start from
    cv2.setRNGSeed(0)
    halves = [np.ascontiguousarray(half) for half in np.split(sample, 2, axis=1)]
    return [np.asarray(cv2.kmeans(half, number, labels, rounds, 1, cv2.KMEANS_RANDOM_CENTERS)[2]) for half in halves]
