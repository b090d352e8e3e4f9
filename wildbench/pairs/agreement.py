"""Two detectors on the same photographs, without labels: what one of them finds and the other does not.

Detections of one category pair one to one where they overlap: as many pairs as there can be and, of these, those that
overlap most (the Hungarian method). What has no partner above the threshold may have one below it: then the animal is
still found, with another score.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from pydantic import Field

from wildbench.categories import canonical
from wildbench.datasets.coco import Dataset, Floats, Ints
from wildbench.datasets.image_files import pictures_below
from wildbench.datasets.image_groups import field_of
from wildbench.datasets.images import decode
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DatasetError, SubmissionError
from wildbench.evaluator import detections_in
from wildbench.files import check_writable, write_atomically
from wildbench.measures.uncertainty import Interval, Replay, caution, difference_interval, interval, replay
from wildbench.pictures import colour, draw_boxes, side_by_side
from wildbench.progress import Progress, silent
from wildbench.scorecard import Figure, Record
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process import Sandbox

FORMAT_VERSION = 1
"""Of a written agreement."""

THRESHOLD = 0.2
"""Score from which a detection counts, unless another is asked for: MegaDetector's usual one."""

IOU, MOVED = 0.5, 0.9
"""Overlap from which two detections are of one animal, and below which its box has moved."""

MOST_LEFT_OUT = 1000
"""Groups that are left out one at a time; of more, as many blocks."""

SHOWN, WIDTH = 24, 480
"""Images on the page, and the width of each half of one in pixels."""


class Side(Record):
    """One of the two detectors."""

    name: str
    file: str
    sha256: str
    format: str
    device: str


class Counts(Record):
    """Detections at or above the threshold, of all categories or of one."""

    a: int
    b: int
    matched: int
    moved: int = Field(description="Matched, with an IoU below 0.9.")
    lost: int = Field(description="A finds them, and B does not.")
    lost_by_score: int = Field(description="Of these, those that B finds with a lower score.")
    gained: int = Field(description="B finds them, and A does not.")
    gained_by_score: int = Field(description="Of these, those that A finds with a lower score.")


class Disagreement(Record):
    """One image in which they differ."""

    file_name: str
    lost: int
    gained: int
    moved: int
    weight: float = Field(description="Sum of the scores of what is lost or gained.")


class Agreement(Record):
    """What two detectors find in the same photographs."""

    format_version: int = FORMAT_VERSION
    wildbench: str
    a: Side
    b: Side
    images: int
    skipped: list[str] = Field(description="Pictures that could not be decoded.")
    drawn: str = Field(description="What the intervals draw: images, or locations.")
    groups: int = Field(description="How many of them there are.")
    threshold: float = Field(description="Score from which detections of both count.")
    iou: float = IOU
    categories_left_out: list[str] = Field(description="Categories that only one of them knows.")
    whole: Counts
    per_category: dict[str, Counts]
    agreement: Figure = Field(description="Twice the matched over the detections of both: F1 of either by the other.")
    overlap: Figure = Field(description="Mean IoU of what is matched.")
    score_shift: Figure = Field(description="Mean of B's score less A's, over what is matched.")
    score_shifts: list[float] = Field(description="Its 5th, 25th, 50th, 75th and 95th percentile.")
    equal_threshold: Figure = Field(description="Threshold at which B shows as many detections as A.")
    agreement_at_equal: Figure = Field(description="Agreement with B at that threshold.")
    worst: list[Disagreement] = Field(description="Images in which they differ most.")

    def sentence(self) -> str:
        """What to do with B's threshold, in one line: "keep 0.20 and B shows 1.31 times as many detections"."""
        kept, name = f"keep {self.threshold:.2f}", self.b.name
        if not self.whole.a:
            return f"{kept}: {self.a.name} finds nothing in these images, {name} {self.whole.b}"
        if self.whole.a == self.whole.b:
            return f"{kept}: {name} shows as many detections as {self.a.name}"
        equal = self.equal_threshold
        remedy = f"no threshold of it gives as many ({equal.reason})"
        if equal.value is not None:
            remedy = f"{equal.value:.2f} gives as many"
        return f"{kept} and {name} shows {self.whole.b / self.whole.a:.2f} times as many detections; {remedy}"


def agree(
    a: Path | str,
    b: Path | str,
    *,
    images: Path | str | None = None,
    dataset: Dataset | Path | str | None = None,
    split: str = "test",
    split_file: Path | str | None = None,
    limit: int | None = None,
    threshold: float = THRESHOLD,
    device: str = "auto",
    device_b: str | None = None,
    manifest: Manifest | Path | str | None = None,
    manifest_b: Manifest | Path | str | None = None,
    adapter: Path | str | None = None,
    adapter_b: Path | str | None = None,
    require_jail: bool = False,
    out: Path | str | None = None,
    progress: Progress = silent,
) -> Agreement:
    """Run two detectors on the same photographs and compare what they find; labels are neither needed nor read.

    Each runs in a jailed process of its own, as in `evaluate`. Categories are paired by name. For two runtimes of one
    file, name it twice, with another `device_b`, or with an adapter that opens it in the other runtime.

    Args:
        a: The parent, or one artifact: a file in any registered format, or a folder or zip that holds it.
        b: The child, or the other artifact.
        images: Folder of photographs, searched with its sub-folders, or where those of `dataset` are.
        dataset: A registered name, the path of any COCO JSON, or a `Dataset`, instead of a folder.
        split: Split of a registered data set, or of `split_file`.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        limit: Use only the first `limit` images.
        threshold: Score from which detections count, 0..1.
        device: "auto", "cpu", "cuda" or "cuda:N"; `device_b` where B takes another.
        device_b: See `device`.
        manifest: What A takes and answers, where nothing in it or beside it says so; `manifest_b` for B.
        manifest_b: See `manifest`.
        adapter: Python with `load(path)` and `predict(image)` that opens A; `adapter_b` for B.
        adapter_b: See `adapter`.
        require_jail: Open nothing where not every wall around the processes stands.
        out: HTML page to write, of the images in which they differ most; the figures go beside it as JSON. Nothing is
            written where it is None.
        progress: Called as `progress(task, done, total)`.

    Raises:
        DatasetError: `no-images`, or as `load_dataset`.
        SubmissionError: A file that is not taken, or `no-common-category`.
        DetectorError: A detector crashed, hung, ran out of memory or answered with nonsense.

    Example:
        >>> found = agree("dense.onnx", "int8.onnx", images="unlabelled", out="agreement.html")  # doctest: +SKIP
        >>> found.agreement.value, found.whole.lost, found.whole.gained  # doctest: +SKIP
        (0.93, 31, 44)
    """
    page = None if out is None else Path(out)
    for path in (page, page and page.with_suffix(".json")):
        if path:
            check_writable(path)
    if not 0 <= threshold <= 1:
        raise DatasetError(f"threshold {threshold:g}", code="threshold-range", remedy="give a score in 0..1")
    shown = photographs(images, dataset, limit, split=split, split_file=split_file)
    left = Sandbox(a, device=device, manifest=manifest, adapter=adapter, require_jail=require_jail)
    right = Sandbox(b, device=device_b or device, manifest=manifest_b, adapter=adapter_b, require_jail=require_jail)
    with left, right:
        shared = _shared_categories(left, right)
        seen = _detect(left, right, shared, shown, progress)
        sides = _sides(left, right)
    found = _compare(seen, sides, list(shared.names), threshold, shared.left_out)
    if page:
        text = json.dumps(found.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
        write_atomically(page.with_suffix(".json"), f"{text}\n".encode())
        write_atomically(page, _page(found, seen, shared.names).encode())
    return found


class Photograph(NamedTuple):
    """A picture, by what people know it as, and what is drawn with it: its location, where it has one."""

    name: str
    path: Path
    location: str | None


@dataclass(frozen=True)
class _Shared:
    """The categories that both know: their names, and each one's place among them by label of A and of B."""

    names: tuple[str, ...]
    places: tuple[dict[int, int], dict[int, int]]
    left_out: list[str]


@dataclass(frozen=True)
class _Seen:
    """Every photograph that could be decoded, with what each found in it; image ids are places in the list."""

    photographs: list[Photograph]
    sides: tuple[Detections, Detections]
    skipped: list[str]


class _Pairs(NamedTuple):
    """Which detections of two sets are of one animal, and how far they overlap."""

    a: Ints
    b: Ints
    overlap: Floats


def photographs(
    images: Path | str | None,
    dataset: Dataset | Path | str | None,
    limit: int | None,
    *,
    split: str,
    split_file: Path | str | None,
) -> list[Photograph]:
    """What to show. A folder for each camera is its location, where there are several."""
    folder = None if images is None else Path(images)
    if dataset is not None:
        data = load_dataset(dataset, split=split, split_file=split_file, images=folder, limit=limit)
        return [
            Photograph(str(one["file_name"]), data.image_path(one), field_of(one, "location")) for one in data.images
        ]
    if folder is None or not folder.is_dir():
        what = f"{folder}: no such folder" if folder else "no photographs to look at"
        raise DatasetError(what, code="no-image-folder", remedy="name a folder by --images, or a --dataset")
    names = sorted(pictures_below(folder))[:limit]
    if not names:
        raise DatasetError(f"{folder}: no pictures in it", code="no-images", remedy="name a folder that holds some")
    several = len({name.parent for name in names}) > 1
    return [Photograph(str(name), folder / name, str(name.parent) if several else None) for name in names]


def _shared_categories(left: Sandbox, right: Sandbox) -> _Shared:
    labels = [{canonical(name): label for label, name in box.manifest.label_names.items()} for box in (left, right)]
    names = [name for name in labels[0] if name in labels[1]]
    if not names:
        examples = " and ".join(", ".join(list(one)[:3]) for one in labels)
        what = f"{left.path.name} and {right.path.name} know no category in common ({examples})"
        raise SubmissionError(what, code="no-common-category", remedy='name pairs under "category_map" in a manifest')
    places = [{one[name]: place for place, name in enumerate(names)} for one in labels]
    return _Shared(tuple(names), (places[0], places[1]), sorted(labels[0].keys() ^ labels[1].keys()))


def _detect(
    left: Sandbox, right: Sandbox, shared: _Shared, photographs: Sequence[Photograph], progress: Progress
) -> _Seen:
    """Show each photograph to both."""
    task = f"{left.manifest.name} and {right.manifest.name}"
    taken: list[Photograph] = []
    skipped: list[str] = []
    parts: tuple[list[Detections], list[Detections]] = ([], [])
    for done, photograph in enumerate(photographs):
        progress(task, done, len(photographs))
        try:
            pixels = decode(photograph.path)
        except DatasetError:
            skipped.append(photograph.name)
            continue
        for box, places, part in zip((left, right), shared.places, parts, strict=True):
            answer = box.predict(pixels).detections
            known = np.isin(answer.labels, list(places))
            ids = np.array([places[label] for label in answer.labels[known].tolist()], dtype=np.int64)
            part.append(detections_in(len(taken), ids, answer.boxes[known], answer.scores[known]))
        taken.append(photograph)
    progress(task, len(photographs), len(photographs))
    if not taken:
        what = f"{photographs[0].path}: no picture can be decoded, of {len(photographs)}"
        raise DatasetError(what, code="image-unreadable", remedy="name a folder of photographs")
    return _Seen(taken, (Detections.concatenate(parts[0]), Detections.concatenate(parts[1])), skipped)


def _sides(left: Sandbox, right: Sandbox) -> tuple[Side, Side]:
    """Both, by the names of their manifests, of their files where those are one, or as A and B."""
    pairs = [(box.manifest.name, box.path.stem, letter) for box, letter in ((left, "A"), (right, "B"))]
    names = next(both for both in zip(*pairs, strict=True) if both[0] != both[1])
    a, b = (
        Side(
            name=name,
            file=box.path.name,
            sha256=box.admitted.sha256,
            format=box.admitted.format.name,
            device=box.device,
        )
        for box, name in zip((left, right), names, strict=True)
    )
    return a, b


def pair(a: Detections, b: Detections) -> _Pairs:
    """Pair the detections of two detectors one to one, within each image and category.

    Example:
        >>> a = Detections([1, 1], [7, 7], [[0, 0, 9, 9], [40, 40, 9, 9]], [0.9, 0.8])
        >>> b = Detections([1, 1], [7, 8], [[0, 0, 9, 10], [40, 40, 9, 9]], [0.7, 0.8])
        >>> found = pair(a, b)
        >>> found.a.tolist(), found.b.tolist(), found.overlap.round(2).tolist()
        ([0], [0], [0.9])
    """
    from hotcoco import primitives
    from scipy.optimize import linear_sum_assignment

    parts = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    of_image = [
        {int(one): np.flatnonzero(side.image_ids == one) for one in np.unique(side.image_ids)} for side in (a, b)
    ]
    for image in sorted(of_image[0].keys() & of_image[1].keys()):
        rows, columns = of_image[0][image], of_image[1][image]
        overlaps = primitives.bbox_iou(a.boxes[rows], b.boxes[columns], np.zeros(len(columns), dtype=np.bool_))
        alike = (a.category_ids[rows][:, None] == b.category_ids[columns]) & (overlaps >= IOU)
        mine, theirs = linear_sum_assignment(np.where(alike, 1 + overlaps / (1 + overlaps.size), 0), maximize=True)
        taken = alike[mine, theirs]
        mine, theirs = mine[taken], theirs[taken]
        parts.append((rows[mine], columns[theirs], overlaps[mine, theirs]))
    return _Pairs(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class _Matched(NamedTuple):
    """Both sides above their thresholds, what pairs, and which of the rest the other has with a lower score."""

    a: Detections
    b: Detections
    pairs: _Pairs
    lost: Ints
    gained: Ints
    lost_by_score: Ints
    gained_by_score: Ints


def _matched(sides: tuple[Detections, Detections], thresholds: tuple[float, float]) -> _Matched:
    above = [side[side.scores >= threshold] for side, threshold in zip(sides, thresholds, strict=True)]
    below = [side[side.scores < threshold] for side, threshold in zip(sides, thresholds, strict=True)]
    pairs = pair(above[0], above[1])
    alone = [np.setdiff1d(np.arange(len(side)), taken) for side, taken in zip(above, (pairs.a, pairs.b), strict=True)]
    faint = [alone[side][pair(above[side][alone[side]], below[1 - side]).a] for side in (0, 1)]
    return _Matched(above[0], above[1], pairs, *alone, *faint)


def _counts(matched: _Matched, category: int | None = None) -> Counts:
    def many(side: Detections, rows: Ints | None = None) -> int:
        ids = side.category_ids if rows is None else side.category_ids[rows]
        return len(ids) if category is None else int((ids == category).sum())

    a, b, pairs = matched.a, matched.b, matched.pairs
    return Counts(
        a=many(a),
        b=many(b),
        matched=many(a, pairs.a),
        moved=many(a, pairs.a[pairs.overlap < MOVED]),
        lost=many(a, matched.lost),
        lost_by_score=many(a, matched.lost_by_score),
        gained=many(b, matched.gained),
        gained_by_score=many(b, matched.gained_by_score),
    )


@dataclass(frozen=True)
class _Drawn:
    """The photographs by what is drawn of them."""

    kind: str
    group: Ints

    @property
    def groups(self) -> int:
        return int(self.group.max(initial=0)) + 1

    def sums(self, images: Ints, values: Floats | None = None) -> Floats:
        """[group]: the sum of some values, or how many they are, by the images they stand in."""
        return np.bincount(self.group[images], values, self.groups).astype(np.float64)

    def replay(self, measure: Callable[[Ints], Floats]) -> Replay:
        """Figures on drawn sets, of weights [row, group]."""
        groups = np.arange(self.groups)
        return replay(measure, groups, groups % MOST_LEFT_OUT)

    def ratio(
        self, above: Floats, below: Floats, unit: str, make: Callable[..., Interval | None], nothing: str
    ) -> Figure:
        """A ratio of two sums over groups, with its interval."""
        n = round(float(below.sum()))
        if not n:
            return Figure.undefined(unit, nothing, 0)

        def share(weights: Ints) -> Floats:
            with np.errstate(invalid="ignore"):  # a drawn set may hold none
                return np.asarray((weights @ above) / (weights @ below))[:, None]

        found = self.replay(share)
        value = float(found.whole[0])
        ends = make(value, found.drawn[:, 0], found.without[:, 0], boxes=n)
        message = caution(n, int(np.count_nonzero(below)), self.groups, self.kind)
        if ends is None:
            message = f"all {n} are in one of the {self.kind}: no interval"
        return Figure(value=value, unit=unit, n=n, interval=ends, caution=message)


def _compare(
    seen: _Seen, sides: tuple[Side, Side], names: Sequence[str], threshold: float, left_out: list[str]
) -> Agreement:
    locations = [one.location for one in seen.photographs]
    by_location = None not in locations
    kind = "locations" if by_location else "images"
    texts = [str(one) for one in locations]
    drawn = _Drawn(kind, np.unique(texts, return_inverse=True)[1] if by_location else np.arange(len(locations)))
    matched = _matched(seen.sides, (threshold, threshold))
    pairs, images = matched.pairs, matched.a.image_ids[matched.pairs.a]
    shifts = matched.b.scores[pairs.b] - matched.a.scores[pairs.a]
    matches = drawn.sums(images)
    equal = _equal_threshold(seen.sides, threshold, drawn)
    at_equal = None if equal.value is None else _matched(seen.sides, (threshold, equal.value))
    none = "nothing is matched"
    return Agreement(
        wildbench=version("wildbench"),
        a=sides[0],
        b=sides[1],
        images=len(seen.photographs),
        skipped=seen.skipped,
        drawn=kind,
        groups=drawn.groups,
        threshold=threshold,
        categories_left_out=left_out,
        whole=_counts(matched),
        per_category={
            name: counts for place, name in enumerate(names) if (counts := _counts(matched, place)).a + counts.b
        },
        agreement=_agreement(matched, drawn),
        overlap=_overlap(
            drawn.ratio(drawn.sums(images, (pairs.overlap - IOU) / (1 - IOU)), matches, "IoU", interval, none)
        ),
        score_shift=drawn.ratio(drawn.sums(images, shifts), matches, "1", difference_interval, none),
        score_shifts=np.quantile(shifts, (0.05, 0.25, 0.5, 0.75, 0.95)).tolist() if len(shifts) else [],
        equal_threshold=equal,
        agreement_at_equal=(
            Figure.undefined("1", str(equal.reason), 0) if at_equal is None else _agreement(at_equal, drawn)
        ),
        worst=_worst(matched, seen.photographs),
    )


def _overlap(share: Figure) -> Figure:
    """The mean IoU of matches, of which none is below `IOU`, from where it stands between that and 1."""
    if share.value is None:
        return share
    ends = share.interval and (IOU + (1 - IOU) * share.interval[0], IOU + (1 - IOU) * share.interval[1])
    return share.model_copy(update={"value": IOU + (1 - IOU) * share.value, "interval": ends})


def _agreement(matched: _Matched, drawn: _Drawn) -> Figure:
    both = drawn.sums(matched.a.image_ids) + drawn.sums(matched.b.image_ids)
    twice = 2 * drawn.sums(matched.a.image_ids[matched.pairs.a])
    return drawn.ratio(twice, both, "1", interval, "neither finds anything")


def _equal_threshold(sides: tuple[Detections, Detections], threshold: float, drawn: _Drawn) -> Figure:
    """The score of B's n-th detection, where A has n at the threshold; redrawn with the images, for its interval."""
    a, b = sides
    wanted = drawn.sums(a.image_ids[a.scores >= threshold])
    n = int(wanted.sum())
    order = np.argsort(-b.scores, kind="stable")
    scores, group = b.scores[order], drawn.group[b.image_ids[order]]
    if not n or n > len(scores):
        why = f"B has {len(scores)} detections in all, A has {n}" if n else "A finds nothing at its threshold"
        return Figure.undefined("1", why, n)
    value = float(scores[n - 1])
    if drawn.groups == 1:
        return Figure(value=value, unit="1", n=n, caution=f"all are in one of the {drawn.kind}: no interval")

    def chosen(weights: Ints) -> Floats:
        numbers = np.maximum(weights @ wanted, 1)
        passed = weights[:, group].cumsum(axis=1)
        return np.asarray(scores[(passed < numbers[:, None]).sum(axis=1).clip(max=len(scores) - 1)][:, None])

    low, high = np.quantile(drawn.replay(chosen).drawn, (0.025, 0.975))
    message = caution(n, n, drawn.groups, drawn.kind)
    ends = (min(float(low), value), max(float(high), value))
    return Figure(value=value, unit="1", n=n, interval=ends, caution=message)


def _worst(matched: _Matched, photographs: Sequence[Photograph]) -> list[Disagreement]:
    many = len(photographs)

    def each(side: Detections, rows: Ints, weighted: bool = False) -> Floats:
        return np.bincount(side.image_ids[rows], side.scores[rows] if weighted else None, many).astype(np.float64)

    weight = each(matched.a, matched.lost, True) + each(matched.b, matched.gained, True)
    moved = each(matched.a, matched.pairs.a[matched.pairs.overlap < MOVED])
    lost, gained = each(matched.a, matched.lost), each(matched.b, matched.gained)
    order = [place for place in np.lexsort((-moved, -weight)).tolist() if weight[place] or moved[place]]
    return [
        Disagreement(
            file_name=photographs[place].name,
            lost=int(lost[place]),
            gained=int(gained[place]),
            moved=int(moved[place]),
            weight=float(weight[place]),
        )
        for place in order[:SHOWN]
    ]


_TEMPLATE = Path(__file__).with_name("agreement.html")


def _page(found: Agreement, seen: _Seen, names: Sequence[str]) -> str:
    """The images in which they differ most, A's boxes beside B's, in HTML that needs no other file."""
    from jinja2 import Environment

    places = {photograph.name: place for place, photograph in enumerate(seen.photographs)}
    pictures = [_picture(seen, places[one.file_name], found, names) for one in found.worst]
    template = Environment(autoescape=True).from_string(_TEMPLATE.read_text("utf-8"))
    return template.render(found=found, pictures=pictures)


def _picture(seen: _Seen, place: int, found: Agreement, names: Sequence[str]) -> str:
    """Both detectors' boxes in one image, in base64."""
    pixels = decode(seen.photographs[place].path)
    factor = min(1.0, WIDTH / pixels.shape[1])
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    panels = []
    for side, told in zip(seen.sides, (found.a, found.b), strict=True):
        own = side[(side.image_ids == place) & (side.scores >= found.threshold)]
        rows = zip((own.boxes * factor).tolist(), own.category_ids.tolist(), own.scores.tolist(), strict=True)
        drawn = [((x, y, w, h), f"{names[label]} {score:.2f}", colour(label)) for (x, y, w, h), label, score in rows]
        panels.append(draw_boxes(small, drawn, caption=told.name))
    buffer = io.BytesIO()
    side_by_side(panels).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
