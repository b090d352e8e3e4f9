"""Detections: what a detector says is there, in columns, and the COCO results file that keeps them."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from wildbench.datasets.coco import Columns, Dataset, Floats, Objects, objects
from wildbench.datasets.dialects import id_key
from wildbench.datasets.findings import WHOLE, Finding, Placed, has_error, off_by_one, read_document, refuse
from wildbench.datasets.masks import mask_problem
from wildbench.datasets.outputs import CALLED, as_results
from wildbench.errors import MissingExtra, PredictionsError, WildbenchError
from wildbench.files import pyarrow, read_table, write_atomically, write_table
from wildbench.plugins import outputs


@dataclass(frozen=True, eq=False, repr=False)
class Detections(Columns):
    """What a detector found in a data set, in any order; ties of score are ranked in this one.

    Attributes:
        scores: float64 [n], 0 to 1.
        masks: object [n]: a COCO segmentation each; None where the detector gives boxes alone.

    Raises:
        PredictionsError: `columns-differ`, `box-not-finite`, `box-negative-side`, `score-range` or `mask-missing`.

    Example:
        >>> found = Detections([4, 4, 9], [1, 2, 1], [[0, 0, 8, 2], [1, 1, 4, 4], [0, 0, 3, 3]], [0.9, 0.2, 0.5])
        >>> found, found[found.scores > 0.4].image_ids.tolist(), found.of_image(9).to_coco()
        (Detections(3 boxes in 2 images), [4, 9], [{'image_id': 9, 'category_id': 1, 'bbox': [0.0, 0.0, 3.0, 3.0], \
'score': 0.5}])
    """

    scores: Floats
    masks: Objects | None = None

    error: ClassVar[type[WildbenchError]] = PredictionsError

    def __post_init__(self) -> None:
        super().__post_init__()
        outside = ~((self.scores >= 0) & (self.scores <= 1))
        self.refuse_first(outside, "score-range", "has a score outside 0..1", "give a score in 0..1")
        if self.masks is not None:
            missing = np.array([mask is None for mask in self.masks], dtype=np.bool_)
            self.refuse_first(missing, "mask-missing", "has no mask", "give every detection a mask, or none")


SAME_PLACE = 0.5
"""IoU from which two boxes that only their categories told apart are one."""


def suppressed(detections: Detections, originals: np.ndarray[Any, Any]) -> Detections:
    """Detections of merged categories without those that only their first category told from a better one.

    `originals` are their categories before, int64 [n].
    """
    order, corners = np.argsort(-detections.scores, kind="stable"), detections.xyxy
    gone = np.zeros(len(detections), dtype=np.bool_)
    groups: dict[tuple[int, int], list[int]] = {}
    for at in order.tolist():
        key = int(detections.image_ids[at]), int(detections.category_ids[at])
        better = groups.setdefault(key, [])
        others = [one for one in better if originals[one] != originals[at]]
        if others and _overlap(corners[others], corners[at]).max() >= SAME_PLACE:
            gone[at] = True
        else:
            better.append(at)
    return detections[~gone]


def _overlap(boxes: np.ndarray[Any, Any], box: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Intersection over union of several boxes with one, as corners."""
    sides = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    common = sides.prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - common
    return np.asarray(common / np.where(union > 0, union, 1.0))


def read_predictions(
    path: Path | str, dataset: Dataset, found: list[Finding] | None = None, failures: dict[int, str] | None = None
) -> Detections:
    """Read a file of detections and check that it can be scored against a data set.

    Boxes are `[x, y, width, height]` in pixels, scores in 0..1. A side may be 0, as where a box was clipped away: it
    matches nothing. Either every detection carries a mask or none does.

    Args:
        path: COCO results, or what a registered tool writes (`wildbench.datasets.outputs`): a file, or a folder.
        dataset: What was detected in; where categories are merged, ids are those before merging.
        found: Takes the warnings and notes, such as on pictures that were not looked at.
        failures: Takes why those were not, by the image's id.

    Returns:
        The detections in the order of the file.

    Raises:
        PredictionsError: The file cannot be read, or a detection cannot be scored; names the first and counts the rest.
            The code is that of the first finding, as docs/findings.md lists them.
    """
    if Path(path).suffix == ".parquet":
        return _read_columns(Path(path), dataset)
    sound = _read_plain(Path(path), dataset)
    if sound is not None:
        return sound
    results, findings = read_results(Path(path), dataset, failures)
    refuse(path, findings, PredictionsError, " (wildbench data validate --predictions lists all)")
    if found is not None:
        found += findings
    detections = Detections.from_coco(results)
    called, ids = [str(one.get(CALLED, "")) for one in results], detections.category_ids.tolist()
    several = len({*zip(called, ids, strict=True)}) > len({*ids})
    return suppressed(detections, np.unique(called, return_inverse=True)[1]) if several else detections


def _is_plain(path: Path) -> bool:
    """Whether a file begins as COCO results do, with integers for image and category."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = re.match(rb"\s*\[\s*(\{[^{}]*\})", file.read(4096))
    try:
        first = json.loads(start[1]) if start else {}
    except ValueError:
        return False
    return all(type(first.get(key)) is int for key in ("image_id", "category_id")) and "segmentation" not in first


def _read_plain(path: Path, dataset: Dataset) -> Detections | None:
    """Read COCO results column by column, which takes a tenth of the memory; None where `read_results` has to say more.

    That is where an image was renumbered, a mask or another key than COCO's occurs, or anything is wrong.
    """
    if (
        dataset.original_ids
        or not _is_plain(path)
        or path.stat().st_size > min(1000 * most_detections(dataset), 1 << 30)
    ):
        return None
    try:
        arrow = pyarrow()
    except MissingExtra:
        return None
    ids, numbers = arrow.int64(), arrow.float64()
    kinds = {"image_id": ids, "category_id": ids, "bbox": arrow.list_(numbers), "score": numbers}
    options = arrow.json.ParseOptions(arrow.schema(list(kinds.items())), unexpected_field_behavior="error")
    body = path.read_bytes().strip()
    if body[-1:] != b"]":
        return None
    lines = io.BytesIO(re.sub(rb"\}\s*,\s*\{", b"}\n{", body[1:-1].strip()))
    try:
        table = arrow.json.read_json(lines, arrow.json.ReadOptions(block_size=1 << 24), options)
    except arrow.ArrowException:
        return None
    boxes = table["bbox"].combine_chunks()
    nulls = boxes.flatten().null_count + sum(column.null_count for column in table.columns)
    if (
        nulls or len(table) > most_detections(dataset) or (np.from_dlpack(boxes.value_lengths()) != 4).any()
    ):  # `to_numpy` would import pandas
        return None
    names = ("image_id", "category_id", "score")
    columns: dict[str, Any] = {name: np.from_dlpack(table[name].combine_chunks()) for name in names}
    corners: Any = np.from_dlpack(boxes.flatten()).reshape(-1, 4)
    known = (dataset.images, columns["image_id"]), ((dataset.unmerged or dataset).categories, columns["category_id"])
    sound = [bool(np.isin(column, [entry["id"] for entry in entries]).all()) for entries, column in known]
    sound += [bool((np.abs(corners) < _LARGEST).all()), bool((corners[:, 2:] >= 0).all())]
    sound += [bool(((columns["score"] >= 0) & (columns["score"] <= 1)).all())]
    if not all(sound):
        return None
    return Detections(columns["image_id"], columns["category_id"], corners, scores=columns["score"])


def most_detections(dataset: Dataset) -> int:
    """How many a results file may have: COCO looks at a hundred of a category in an image, and few categories get more.

    Example:
        >>> most_detections(Dataset("d", None, {"images": [{}], "categories": []}, Path()))
        1000
    """
    return max(100 * len(dataset.categories), 1000) * len(dataset.images)


def read_results(path: Path, dataset: Dataset, failures: dict[int, str] | None = None) -> tuple[Any, list[Finding]]:
    """Parse a file of detections and check each by itself; sound where no finding is an error."""
    most = most_detections(dataset)
    results: Any = path
    findings: list[Finding] = []
    if not path.is_dir():  # masks are objects too
        results, findings = read_document(path, min(max(1000 * most, 64 << 20), 1 << 30), 2 * most)
    if not has_error(findings):
        base = dataset.unmerged or dataset
        results = _numbered(results, base)
        output = next((one for one in outputs.all().values() if one.knows(results)), None)
        if output is not None:
            results, notes = as_results(output, results, dataset, failures)
            findings += notes
        findings += check_results(results, base)
    return results, findings


def spoken_names(path: Path) -> set[str]:
    """The categories that a tool's file names; none of COCO results, which have the data set's ids."""
    if path.suffix == ".parquet" or _is_plain(path):
        return set()
    document = path if path.is_dir() else read_document(path)[0]
    output = next((one for one in outputs.all().values() if one.knows(document)), None)
    found = output.read(document) if output else ()
    return {category for one in found for category, *_ in one.boxes if isinstance(category, str)}


def _numbered(results: Any, dataset: Dataset) -> Any:  # noqa: ANN401 - whatever the file holds
    """Results whose image ids are those of a file that was renumbered, by its new ids."""
    numbers = {id_key(original): own for own, original in dataset.original_ids.items()}
    entries = results if isinstance(results, list) and numbers else []
    keys = [id_key(entry.get("image_id")) if isinstance(entry, dict) else None for entry in entries]
    if not entries or not set(keys) <= numbers.keys():
        return results
    return [{**entry, "image_id": numbers[key]} for entry, key in zip(entries, keys, strict=True)]


def results_bytes(detections: Detections, originals: Mapping[int, Any] | None = None) -> bytes:
    """A results file: by image, then falling score, ties in their order; one a line.

    Numbers are written in full, and pycocotools' order of ties within an image is kept, so that scoring the file gives
    exactly what scoring `detections` gives. `originals` are the ids of images that were renumbered.
    """
    ordered = detections[np.lexsort((-detections.scores, detections.image_ids))]
    image_ids: list[Any] = ordered.image_ids.tolist()
    if originals:
        image_ids = [json.dumps(originals.get(one, one)) for one in image_ids]
    sides = (column.tolist() for column in ordered.boxes.T)
    masks = [""] * len(ordered)
    if ordered.masks is not None:
        masks = [f', "segmentation": {json.dumps(mask, sort_keys=True)}' for mask in ordered.masks.tolist()]
    rows = zip(*sides, ordered.category_ids.tolist(), image_ids, ordered.scores.tolist(), masks, strict=True)
    lines = [
        f'{{"bbox": [{x!r}, {y!r}, {w!r}, {h!r}], "category_id": {kind}, "image_id": {image}, "score": {s!r}{mask}}}'
        for x, y, w, h, kind, image, s, mask in rows
    ]
    return ("[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n").encode()


def write_predictions(detections: Detections, path: Path, originals: Mapping[int, Any] | None = None) -> None:
    """Write COCO results; or the same in columns where the path ends in `.parquet`, with the data set's own image ids.

    Raises:
        OutputError: It cannot be written.
    """
    if path.suffix != ".parquet":
        write_atomically(path, results_bytes(detections, originals))
        return
    ordered = detections[np.lexsort((-detections.scores, detections.image_ids))]
    pa = pyarrow()
    sides = dict(zip(SIDES, np.ascontiguousarray(ordered.boxes.T), strict=True))
    columns = {"image_id": ordered.image_ids, "category_id": ordered.category_ids, **sides, "score": ordered.scores}
    if ordered.masks is not None:
        columns["segmentation"] = pa.array([json.dumps(mask, sort_keys=True) for mask in ordered.masks], pa.string())
    write_table(path, pa.table(columns))


def tool_document(
    to: str, detections: Detections, dataset: Dataset, detector: str, failures: Mapping[int, str] | None = None
) -> Any:  # noqa: ANN401 - as the tool has it
    """What a tool reads of detections in a data set, such as MegaDetector's batch output.

    Args:
        to: A registered form of detections that is written: "megadetector".
        detections: By the categories of the data set.
        dataset: What was detected in; every image is named, those without detections too.
        detector: Its name.
        failures: Why images were not looked at, by id.

    Raises:
        PredictionsError: `no-such-form`.

    Example:
        >>> coco = {"images": [{"id": 4, "file_name": "a.jpg", "width": 80, "height": 40}],
        ...         "categories": [{"id": 7, "name": "lion"}], "annotations": []}
        >>> found = Detections([4], [7], [[20, 10, 40, 20]], [0.9])
        >>> tool_document("megadetector", found, Dataset("d", None, coco, Path()), "tiny")["images"]
        [{'file': 'a.jpg', 'detections': [{'category': '1', 'conf': 0.9, 'bbox': [0.25, 0.25, 0.5, 0.5]}]}]
    """
    written = {name: one for name, one in outputs.all().items() if one.write is not None}
    if to not in written:
        remedy = f"name one of: {', '.join(written)}"
        raise PredictionsError(f"no form of detections {to!r} that is written", code="no-such-form", remedy=remedy)
    by_image: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for one in detections.to_coco():
        by_image[one["image_id"]].append(one)
    return written[to].write(by_image, dataset, detector, failures or {})


SIDES = ("x", "y", "width", "height")
"""Columns of a box in a Parquet file, in pixels."""


def _read_columns(path: Path, dataset: Dataset) -> Detections:
    """Read what `write_predictions` writes as columns; other columns are passed over."""
    remedy = "write it by `wildbench merge -o NAME.parquet`, or give COCO results as JSON"
    table, _ = read_table(path, PredictionsError, "not-parquet", remedy)
    wanted = ["image_id", "category_id", *SIDES, "score"]
    missing = [name for name in wanted if name not in table.column_names]
    if missing:
        raise PredictionsError(f"{path}: no column {', '.join(missing)}", code="key-missing", remedy=remedy)
    try:
        columns = {name: table[name].cast(pyarrow().float64()).to_numpy() for name in wanted}
    except pyarrow().ArrowException:
        raise PredictionsError(f"{path}: a column holds no numbers", code="key-type", remedy=remedy) from None
    masks = table["segmentation"].to_pylist() if "segmentation" in table.column_names else None
    known = {"image_id": dataset.images, "category_id": (dataset.unmerged or dataset).categories}
    for key, entries in known.items():
        strange = ~np.isin(columns[key], [entry["id"] for entry in entries])
        if strange.any():
            what = f"{path}: row {int(np.flatnonzero(strange)[0])}: {key} {columns[key][strange][0]:.15g}"
            code = f"detection-unknown-{key.removesuffix('_id')}"
            raise PredictionsError(f"{what} is not in {dataset.name}", code=code, remedy=remedy)
    return Detections(
        columns["image_id"].astype(np.int64),
        columns["category_id"].astype(np.int64),
        np.column_stack([columns[side] for side in SIDES]),
        scores=columns["score"],
        masks=None if masks is None else objects(json.loads(mask) for mask in masks),
    )


KEYS = ("image_id", "category_id", "bbox", "score")
"""What every detection has."""

_LARGEST = 2**53

_IDS = (("image_id", "unknown-image"), ("category_id", "unknown-category"))


def check_results(results: object, dataset: Dataset) -> list[Finding]:
    """Look for everything that keeps parsed results from being scored; boxes may leave the image.

    Returns:
        One error for each detection that cannot be scored; none where all can.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 1, "width": 9, "height": 9}], "categories": [{"id": 1, "name": "lion"}]}
        >>> found = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 87.5}]
        >>> [(finding.code, finding.place) for finding in check_results(found, Dataset("d", None, coco, Path()))]
        [('score-range', '[0]')]
    """
    if isinstance(results, dict) and "annotations" in results:
        return [Finding("not-results", WHOLE, "labels, not a list of detections", "name the detections' own file")]
    if not isinstance(results, list):
        return [Finding("not-results", WHOLE, "not a list of detections", f"list objects with {', '.join(KEYS)}")]
    findings: list[Finding] = []
    sound: list[Placed] = []
    for index, entry in enumerate(results):
        fault = _shape_fault(entry)
        if fault is None:
            sound.append((f"[{index}]", entry))
        else:
            findings.append(Finding(fault[0], f"[{index}]", *fault[1:]))
    findings += _check_references(sound, dataset)
    findings += _check_scores(sound)
    wrong = {finding.place for finding in findings}
    findings += _check_masks([(place, entry) for place, entry in sound if place not in wrong], dataset)
    return sorted(findings, key=lambda finding: int(finding.place[1:-1]))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shape_fault(entry: object) -> tuple[str, str, str] | None:
    """Code, message and remedy of what is wrong with one detection by itself, its score's range aside."""
    if not isinstance(entry, dict):
        return "entry-type", f"no {', '.join(KEYS)}: not an object", f"give every detection {', '.join(KEYS)}"
    missing = [key for key in KEYS if key not in entry]
    if missing:
        return "key-missing", f"no {', '.join(missing)}", f"give every detection {', '.join(KEYS)}"
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return "key-type", f"bbox {box!r:.80}", "give [x, y, width, height] as four finite numbers"
    if not all(-_LARGEST < value < _LARGEST for value in box):  # NaN is not
        return "box-not-finite", f"bbox {box!r:.80}", "give [x, y, width, height] as four finite numbers"
    if box[2] < 0 or box[3] < 0:
        remedy = "give [x, y, width, height], not two corners in the wrong order"
        return "box-negative-side", f"bbox {box} has a negative side", remedy
    if not _is_number(entry["score"]):
        return "key-type", f"score {entry['score']!r:.80}", "give a score in 0..1, a number"
    for key, _ in _IDS:
        if type(entry[key]) is not int:
            return "key-type", f"{key} {entry[key]!r:.80}, which is no integer", "give the id as the data set has it"
    return None


def _check_references(sound: list[Placed], dataset: Dataset) -> Iterator[Finding]:
    sets = {"image_id": dataset.images, "category_id": dataset.categories}
    for key, code in _IDS:
        known = {entry["id"] for entry in sets[key]}
        hint = off_by_one({entry[key] for _, entry in sound}, known)
        for place, entry in sound:
            if entry[key] not in known:
                message = f"{key} {entry[key]} is not in {dataset.name}{hint}"
                yield Finding(f"detection-{code}", place, message, "score against the data set that was detected in")


def _check_scores(sound: list[Placed]) -> Iterator[Finding]:
    scores = [entry["score"] for _, entry in sound]
    remedy = "give a score in 0..1"
    if any(score < 0 for score in scores) and any(score > 1 for score in scores):
        remedy += ": these look like logits, so apply the sigmoid or softmax"
    elif sum(1 < score <= 100 for score in scores) > len(scores) / 2:
        remedy += ": these look like percent, so divide by 100"
    for place, entry in sound:
        if not 0 <= entry["score"] <= 1:
            yield Finding("score-range", place, f"score {entry['score']!r:.40}", remedy)


def _check_masks(sound: list[Placed], dataset: Dataset) -> Iterator[Finding]:
    """Report masks that cannot be filled in, or are missing where other detections have one."""
    if not any("segmentation" in entry for _, entry in sound):
        return
    images = {image["id"]: image for image in dataset.images}
    for place, entry in sound:
        if not entry.get("segmentation"):
            message = "no segmentation, which other detections have"
            yield Finding("mask-missing", place, message, "give every detection a mask, or none")
            continue
        image = images[entry["image_id"]]
        if problem := mask_problem(entry["segmentation"], image["height"], image["width"]):
            yield Finding("mask-invalid", place, f"segmentation: {problem}", "encode it for the image's own size")
