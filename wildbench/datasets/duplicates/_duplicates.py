"""Images that show the same: pairs, groups of them, and leaks, which are pairs in different parts of a data set."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import cv2

from wildbench.datasets.coco import Dataset
from wildbench.datasets.duplicates._index import Candidate, candidates
from wildbench.datasets.duplicates._keypoints import align
from wildbench.datasets.duplicates._looks import Look, look_at
from wildbench.datasets.image_groups import shared_values
from wildbench.datasets.images import decode
from wildbench.errors import DatasetError
from wildbench.progress import Progress, silent
from wildbench.resources import cache_dir

KINDS = ("same file", "same pixels", "same photograph", "same scene")
"""How strong the evidence is, strongest first."""

LOOKS = "looks.sqlite"
"""File in the cache that keeps what was seen of images."""

_KEPT_FROM = 500
"""Images from which on it does: fewer are looked at in seconds."""

_MOST_CANDIDATES = 8
_FEW = 4000
"""Candidates of all images together that are proved in any case: few images have common words only."""

_AT_ONCE = 512
"""Candidates that are proved before the next ones are chosen."""

_SAME_PHOTOGRAPH = 0.75
"""Correlation of aligned pixels from which on two images are versions of one photograph."""

_SAME_SCENE = 16
"""Keypoints that have to agree where the pixels do not."""

_SPREAD = 0.1
"""Share of either side that these have to lie over: those of a caption or of a watermark lie on one line."""


@dataclass(frozen=True)
class Pair:
    """Two images that show the same.

    Attributes:
        a, b: Their places in the list, `a < b`.
        kind: One of `KINDS`. The same file has the same bytes. The same photograph is the same pixels after another
            encoding, scaling, cropping, mirroring, turning or recolouring. The same scene has the same background or
            the same subject, in other pixels: the next picture of a series, or of a fixed camera.
        score: Correlation of the aligned pixels, at most 1.
        matches: Keypoints that agree on how one image maps onto the other; None where pixels are equal.
        mirrored: Whether one is the mirror image of the other.
    """

    a: int
    b: int
    kind: str
    score: float
    matches: int | None = None
    mirrored: bool = False


def find_pairs(
    paths: Sequence[Path],
    *,
    parts: Sequence[int] | None = None,
    connecting: bool = False,
    progress: Progress = silent,
) -> list[Pair]:
    """Find the images that show the same: equal bytes, equal pixels, then candidates by their keypoints, proved.

    A candidate is among the eight images (more of a small set) that share most kinds of keypoints with another
    (`_index`). It is a pair if its keypoints agree on an affine transform, mirrored or not, under which its pixels
    correlate to 0.75 (the same photograph), or on which 16 of them agree (the same scene).

    What was seen of 500 images and more is kept in the cache, so that an interrupted search goes on where it was.

    Args:
        paths: Image files.
        parts: One number for each image. Only pairs of different numbers are looked for; by default, all.
        connecting: Leave out pairs whose images others connect already: for `groups`, they would change nothing.
        progress: Called as `progress(task, done, total)`.

    Returns:
        Pairs, strongest first.

    Raises:
        DatasetError: A file that cannot be decoded.
        OutputError: The cache cannot be written.

    Example:
        >>> find_pairs([])
        []
    """
    looks = look_at(paths, progress, file=cache_dir() / LOOKS if len(paths) >= _KEPT_FROM else None)
    return pairs_among(looks, parts=parts, connecting=connecting, progress=progress)


def pairs_among(
    looks: Sequence[Look],
    *,
    parts: Sequence[int] | None = None,
    connecting: bool = False,
    progress: Progress = silent,
) -> list[Pair]:
    """Find pairs as `find_pairs` does, among images that were looked at before."""
    parts = range(len(looks)) if parts is None else parts
    pairs = {(pair.a, pair.b): pair for pair in _equal(looks, parts)}
    forest = _Forest(len(looks))
    for pair in pairs:
        forest.join(*pair)
    most = max(_MOST_CANDIDATES, _FEW // max(len(looks), 1))
    likely = [one for one in candidates(looks, parts, most, progress) if (one.a, one.b) not in pairs]
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="prove") as pool:
        for start in range(0, len(likely), _AT_ONCE):
            some = [
                one
                for one in likely[start : start + _AT_ONCE]
                if not connecting or forest.leader(one.a) != forest.leader(one.b)
            ]
            for proved in filter(None, pool.map(lambda one: _prove(one, looks), some)):
                pairs[proved.a, proved.b] = proved
                forest.join(proved.a, proved.b)
            progress("compare keypoints", min(start + _AT_ONCE, len(likely)), len(likely))
    return sorted(pairs.values(), key=lambda pair: (KINDS.index(pair.kind), -pair.score, pair.a, pair.b))


class _Forest:
    """Images and what they are connected with."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def leader(self, image: int) -> int:
        """The first of the images that one is connected with."""
        while self._above[image] != image:
            self._above[image] = image = self._above[self._above[image]]
        return image

    def join(self, a: int, b: int) -> None:
        first, second = sorted((self.leader(a), self.leader(b)))
        self._above[second] = first


def groups(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Put `count` images into groups that no pair crosses.

    Returns:
        Groups of places, each ascending, in the order of their first; most hold a single image.

    Example:
        >>> groups(5, [(3, 1), (1, 4)])
        [[0], [1, 3, 4], [2]]
    """
    forest = _Forest(count)
    for a, b in pairs:
        forest.join(a, b)
    members = defaultdict(list)
    for image in range(count):
        members[forest.leader(image)].append(image)
    return [members[image] for image in sorted(members)]


def _equal(looks: Sequence[Look], parts: Sequence[int]) -> list[Pair]:
    """Pairs of equal pixels, and among them those of equal bytes; where very many are equal, with the first of them."""
    seen: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for number, look in enumerate(looks):
        seen[look.seen_sha256].append((number, look.file_sha256))
    pairs = []
    for alike in (each for each in seen.values() if len(each) > 1):
        files = {file: looks[number].path for number, file in alike}
        pixels = dict.fromkeys(files, "")
        if len(files) > 1:  # alike when reduced to grey
            pixels = {file: hashlib.sha256(decode(path).tobytes()).hexdigest() for file, path in files.items()}
        firsts = [alike[0], *[one for one in alike if parts[one[0]] != parts[alike[0][0]]][:1]]
        both = combinations(alike, 2) if len(alike) <= _MOST_CANDIDATES else product(firsts, alike)
        for (a, one), (b, other) in both:
            if parts[a] != parts[b] and pixels[one] == pixels[other]:
                pairs.append(Pair(min(a, b), max(a, b), KINDS[0] if one == other else KINDS[1], 1.0))
    return pairs


def _prove(candidate: Candidate, looks: Sequence[Look]) -> Pair | None:
    """The pair of two candidates, as they are or mirrored, whichever agrees better; None where neither does."""
    a, b, _ = candidate
    one, other = looks[a].keypoints, looks[b].keypoints
    pairs = []
    for alignment, mirror in ((align(one, other), False), (align(one, other.mirrored), True)):
        scene = alignment and alignment.matches >= _SAME_SCENE and alignment.spread >= _SPREAD
        if alignment and (alignment.correlation >= _SAME_PHOTOGRAPH or scene):
            kind = KINDS[2] if alignment.correlation >= _SAME_PHOTOGRAPH else KINDS[3]
            pairs.append(Pair(a, b, kind, min(alignment.correlation, 1.0), alignment.matches, mirror))
    return max(pairs, key=lambda pair: pair.score, default=None)


@dataclass(frozen=True)
class Place:
    """Where an image is: its part, its `file_name`, and its file."""

    part: str
    file_name: str
    path: Path


@dataclass(frozen=True)
class Leak:
    """Two images of different parts, and why they are taken for the same."""

    a: Place
    b: Place
    pair: Pair


@dataclass(frozen=True)
class LeakReport:
    """What the parts of a data set have in common.

    Attributes:
        images: Number of images by part.
        leaks: Pairs across parts, strongest first.
        shared_locations: Values of `location` that occur in more than one part.
        shared_sequences: The same of `seq_id`.
    """

    images: dict[str, int]
    leaks: list[Leak]
    shared_locations: list[str]
    shared_sequences: list[str]


def find_leaks(parts: Sequence[Dataset], progress: Progress = silent) -> LeakReport:
    """Look for images of different parts that show the same (`duplicates.find_pairs`), and for shared locations.

    Args:
        parts: The parts, images at hand. A part is called by its split, or by its name where it has none.
        progress: Called as `progress(task, done, total)`.

    Raises:
        DatasetError: Fewer than two parts, two of one name, or an image that cannot be decoded.

    Example:
        >>> parts = [Dataset("d", split, {"images": [], "annotations": []}, Path()) for split in ("train", "test")]
        >>> find_leaks(parts)
        LeakReport(images={'train': 0, 'test': 0}, leaks=[], shared_locations=[], shared_sequences=[])
    """
    names = [part.split or part.name for part in parts]
    if len(parts) < 2:
        remedy = "name the other parts' files, or a --split-file"
        raise DatasetError(f"{' '.join(names)} is one part, which cannot leak", code="one-part", remedy=remedy)
    if len(set(names)) < len(names):
        what = f"two parts are called {max(names, key=names.count)}"
        raise DatasetError(what, code="parts-of-one-name", remedy="rename one of the files")
    places = [
        Place(name, str(image["file_name"]), part.image_path(image))
        for name, part in zip(names, parts, strict=True)
        for image in part.images
    ]
    numbers = [names.index(place.part) for place in places]
    pairs = find_pairs([place.path for place in places], parts=numbers, progress=progress)
    return LeakReport(
        images={name: len(part.images) for name, part in zip(names, parts, strict=True)},
        leaks=[Leak(places[pair.a], places[pair.b], pair) for pair in pairs],
        shared_locations=shared_values([part.images for part in parts], "location"),
        shared_sequences=shared_values([part.images for part in parts], "seq_id"),
    )


_PAGE = Path(__file__).with_name("leaks.html")
_SHOWN = 300
_LONG_SIDE = 280
_EXPLAINED = {
    "same file": "the same bytes",
    "same pixels": "other bytes, the same pixels",
    "same photograph": "the same pixels once one is scaled, cropped, turned, mirrored or recoloured as the other",
    "same scene": "the same background or subject, in other pixels",
}


def leaks_page(report: LeakReport) -> str:
    """Show each pair side by side, strongest first and at most 300 of them, in HTML that needs no other file.

    Raises:
        DatasetError: An image that cannot be decoded.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(_PAGE.read_text("utf-8"))
    counts = Counter(leak.pair.kind for leak in report.leaks)
    return template.render(report=report, counts=counts, kinds=_EXPLAINED, shown=_SHOWN, thumbnail=_thumbnail)


def _thumbnail(path: Path) -> str:
    pixels = decode(path)
    factor = min(1.0, _LONG_SIDE / max(pixels.shape[:2]))
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return base64.b64encode(data.tobytes()).decode("ascii")
