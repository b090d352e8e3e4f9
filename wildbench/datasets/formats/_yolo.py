"""YOLO's text labels: `class x_centre y_centre width height`, in shares of the picture's sides.

Labels are written with as few digits as read back as the same numbers, at least six; other readers take any number of
digits. hotcoco's exporter writes six always, which moves boxes by up to a thousandth of a pixel in a large picture, and
its importer takes no folders.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from wildbench.datasets.formats._collection import (
    EXACT,
    LEFT_OUT,
    UNKNOWN_LEFT_OUT,
    Box,
    Collection,
    Number,
    exact,
    mark_partial,
    number,
    repaired,
)
from wildbench.datasets.formats._picture_files import (
    PARTS,
    SUFFIXES,
    Picture,
    look_at,
    pair,
    read_parts,
    short_names,
    text_of,
)
from wildbench.datasets.label_checks import Finding
from wildbench.errors import DatasetError
from wildbench.progress import Progress

CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")
_DIGITS = (6, 9, 12, 17, 25, 45)
_GRID = Decimal("1e-30")
"""Pixels; finer differences are the rounding of the division."""

_SLACK = Decimal("0.01")
"""Pixels; six digits of a share are less than that in any picture."""


def read_yolo(folder: Path, files: Sequence[PurePosixPath], progress: Progress) -> Collection:
    """Read every label file and picture below a folder; a picture without label file is empty, as YOLO has it.

    Raises:
        DatasetError: No category names, or a hostile file.
    """
    pictures, findings = look_at(folder, [path for path in files if path.suffix.casefold() in SUFFIXES], progress)
    config = next((path for name in CONFIGS for path in files if path.name.casefold() == name), None)
    if config is None:
        remedy = "give the names of the categories in one of them"
        raise DatasetError("no data.yaml or classes.txt", code="no-category-names", remedy=remedy)
    settings = _settings(folder, config)
    categories = [{"id": index, "name": name} for index, name in enumerate(settings["names"], start=1)]
    pairs = pair({str(path): "" for path in _label_files(files, config)}, pictures, findings)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    read: Counter[str] = Counter()
    lost: dict[int, set[str | None]] = {}
    named = dict(sorted(short_names(pictures).items()))
    for index, (name, picture) in enumerate(named.items(), start=1):
        images.append({"id": index, "file_name": name, "width": picture.width, "height": picture.height})
        lost[index] = set()
        label = pairs.get(picture.name)
        for fields in _boxes(folder, label, picture, settings["names"], findings, read, lost[index]):
            annotations.append({"id": len(annotations) + 1, "image_id": index, **fields})
    coco = {"images": images, "categories": categories, "annotations": annotations}
    mark_partial(coco, lost)
    ids = {name: index for index, name in enumerate(named, start=1)}
    parts = read_parts(folder, [path for path in files if str(path) not in pairs.values()], ids, findings)
    parts = parts or _folder_parts(settings, {ids[name]: picture for name, picture in named.items()})
    places = {name: picture.path for name, picture in named.items()}
    return Collection("yolo", coco, parts, places, findings, read=read)


def label_lines(
    image: Mapping[str, Any], boxes: Sequence[Mapping[str, Any]], classes: Mapping[int, int]
) -> tuple[str, int]:
    """The label file of one image."""
    lines, moved = [], 0
    for annotation in boxes:
        if not annotation["iscrowd"]:
            shares, same = _shares(annotation["bbox"], image["width"], image["height"])
            lines.append(f"{classes[annotation['category_id']]} {' '.join(shares)}\n")
            moved += not same
    return "".join(lines), moved


def config_text(names: Sequence[str], parts: Sequence[str]) -> str:
    """`data.yaml`, with one list of images for each part, or all images where there are no parts."""
    places = {part: f"{part}.txt" for part in parts} or {"train": "images", "val": "images"}
    lines = [f"{part}: {place}\n" for part, place in places.items()]
    listed = [f"  {index}: {json.dumps(name, ensure_ascii=False)}\n" for index, name in enumerate(names)]
    return "".join(["path: .\n", *lines, "names:\n", *listed])


def _shares(bbox: Sequence[Number], width: int, height: int) -> tuple[list[str], bool]:
    """Centre and sides in shares, with the fewest digits that read back as the same box; whether any do."""
    x, y, w, h = map(exact, bbox)
    with localcontext(EXACT) as context:
        context.prec = 100
        shares = [(x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
        texts: list[str] = []
        for digits in _DIGITS:
            texts = [f"{value:.{digits}f}" for value in shares]
            back, findings = repaired(_pixels(list(map(Decimal, texts)), width, height), width, height, "")
            if back == list(bbox) and not findings:
                return texts, True
    return texts, False


def _pixels(shares: Sequence[Decimal], width: int, height: int) -> Box:
    """Left, top, right, bottom in pixels."""
    with localcontext(EXACT):
        x, y, w, h = shares[0] * width, shares[1] * height, shares[2] * width, shares[3] * height
        left, top, right, bottom = (value.quantize(_GRID) for value in (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    return left, top, right, bottom


def _boxes(
    folder: Path,
    label: str | None,
    picture: Picture,
    names: list[str],
    findings: list[Finding],
    read: Counter[str],
    lost: set[str | None],
) -> Iterator[dict[str, Any]]:
    """Yield the fields of each box that can be kept; `lost` gets the categories of the others."""
    if picture.orientation > 1:
        message = f"EXIF orientation {picture.orientation}: nothing tells whether the boxes are of the turned picture"
        remedy = "look at the boxes; they are taken to be of the stored pixels"
        findings.append(Finding("orientation-unsure", picture.name, message, remedy, "warning"))
    lines = text_of((folder / label).read_bytes()).splitlines() if label else []
    for index, line in enumerate(lines, start=1):
        place = f"{label}: line {index}"
        try:
            row = _row(line, len(names))
        except ValueError as error:
            name = _name(line, names)
            message = f"{error}; {LEFT_OUT if name else UNKNOWN_LEFT_OUT}"
            findings.append(Finding("box-unreadable", place, message, "label it again"))
            read["unreadable"] += 1
            lost.add(name)
            continue
        if row is not None:
            read[names[int(row[0])]] += 1
            box = _pixels(row[1:], picture.width, picture.height)
            sides, repairs = repaired(box, picture.width, picture.height, place, _SLACK)
            findings += repairs
            if sides is None:
                lost.add(names[int(row[0])])
            else:
                yield {"category_id": int(row[0]) + 1, "bbox": sides, "area": sides[2] * sides[3], "iscrowd": 0}


def _row(line: str, classes: int) -> list[Decimal] | None:
    """Class and four shares; None for an empty line."""
    words = line.split()
    if not words:
        return None
    if len(words) != 5:
        raise ValueError(f"{len(words)} numbers instead of 5 (a polygon or a score, perhaps)")
    if not _is_class(words[0], classes):
        raise ValueError(f"class {words[0][:20]!r} is outside 0..{classes - 1}")
    return [number(word) for word in words]


def _is_class(word: str, classes: int) -> bool:
    return word.isdecimal() and len(word) < 10 and int(word) < classes


def _name(line: str, names: Sequence[str]) -> str | None:
    """The category of a line that cannot be read, where it starts with one."""
    word = line.split()[0]
    return names[int(word)] if _is_class(word, len(names)) else None


def _label_files(files: Sequence[PurePosixPath], config: PurePosixPath) -> list[PurePosixPath]:
    """Text files under a folder `labels`; where there is none, every text file that is called like a picture."""
    texts = [path for path in files if path.suffix.casefold() == ".txt" and path != config]
    labels = [path for path in texts if "labels" in map(str.casefold, path.parent.parts)]
    stems = {path.stem.casefold() for path in files if path.suffix.casefold() in SUFFIXES}
    return labels or [path for path in texts if path.stem.casefold() in stems]


def _settings(folder: Path, config: PurePosixPath) -> dict[str, Any]:
    """What `data.yaml` says, with `names` as a list."""
    text = text_of((folder / config).read_bytes()[: 1 << 20])
    if config.suffix == ".txt":
        return {"names": [line.strip() for line in text.splitlines() if line.strip()]}
    try:
        settings = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise DatasetError(f"{config}: not YAML ({error})", code="not-yaml", remedy="repair the file") from error
    names = settings.get("names") if isinstance(settings, dict) else None
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        remedy = "give them under names:, in order"
        raise DatasetError(f"{config}: no list of category names", code="no-category-names", remedy=remedy)
    return {**settings, "names": names}


def _folder_parts(settings: Mapping[str, Any], pictures: Mapping[int, Picture]) -> dict[str, list[int]]:
    """Parts that `data.yaml` gives as folders; none where all its parts are the same images."""
    parts: dict[str, list[int]] = {}
    for key, value in settings.items():
        if key in PARTS and isinstance(value, str):
            wanted = "/".join(part for part in PurePosixPath(value).parts if part not in (".", "..", "/"))
            inside = [index for index, one in pictures.items() if f"/{wanted}/" in f"/{one.name}"]
            if inside:
                parts[PARTS[key]] = inside
    return {} if len(set(map(tuple, parts.values()))) == 1 else parts
