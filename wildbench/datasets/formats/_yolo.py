"""YOLO's text labels, read and written: `class x_centre y_centre width height`, in shares of the picture's sides.

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

from wildbench import records
from wildbench.datasets.formats._collection import EXACT, Box, Collection, Draft, Number, exact, number, repaired
from wildbench.datasets.formats._picture_files import (
    PARTS,
    SUFFIXES,
    Picture,
    look_at,
    orientation_unsure,
    pair,
    read_parts,
    short_names,
    text_of,
)
from wildbench.errors import DatasetError
from wildbench.progress import Progress

CONFIGS = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt")
_DIGITS = (6, 9, 12, 17, 25, 45)
_GRID = Decimal("1e-30")
"""Pixels; finer differences are the rounding of the division."""

_SLACK = Decimal("0.01")
"""Pixels; six digits of a share are less than that in any picture."""


def read_yolo(folder: Path, files: Sequence[PurePosixPath], progress: Progress) -> Collection:
    """Read every label file and picture below a folder; a picture without label file is empty, as YOLO has it."""
    pictures, findings = look_at(folder, [path for path in files if path.suffix.casefold() in SUFFIXES], progress)
    config = next((path for name in CONFIGS for path in files if path.name.casefold() == name), None)
    if config is None:
        remedy = "give the names of the categories in one of them"
        raise DatasetError("no data.yaml or classes.txt", code="no-category-names", remedy=remedy)
    settings = _settings(folder, config)
    pairs = pair({str(path): "" for path in _label_files(files, config)}, pictures, findings)
    draft = Draft("yolo", findings)
    named = dict(sorted(short_names(pictures).items()))
    for name, picture in named.items():
        draft.add_image(name, picture)
        if picture.orientation > 1:
            findings.append(orientation_unsure(picture, picture.name))
        if picture.name in pairs:
            _add_boxes(draft, folder, pairs[picture.name], settings["names"])
    ids = draft.ids
    parts = read_parts(folder, [path for path in files if str(path) not in pairs.values()], ids, findings)
    parts = parts or _folder_parts(settings, {ids[name]: picture for name, picture in named.items()})
    return draft.collection(settings["names"], parts)


def yolo_files(collection: Collection, lost: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file beside the pictures; `lost` counts what is left out or moved."""
    boxes = collection.boxes_of()
    classes = {key: index for index, key in enumerate(collection.names)}
    for image in collection.coco["images"]:
        lines = []
        for one in boxes[image["id"]]:
            if one["iscrowd"]:
                lost["annotations: iscrowd (left out)"] += 1
                continue
            shares, same = _shares(one["bbox"], image["width"], image["height"])
            lost["annotations: bbox (finer than 1e-30 pixels, or outside the image)"] += not same
            lines.append(f"{classes[one['category_id']]} {' '.join(shares)}\n")
        yield f"labels/{PurePosixPath(image['file_name']).with_suffix('.txt')}", "".join(lines)
    lists = dict(collection.lists())
    places = {part: f"{part}.txt" for part in lists} or {"train": "images", "val": "images"}
    lines = ["path: .", *(f"{part}: {place}" for part, place in places.items()), "names:"]
    for index, name in enumerate(collection.names.values()):
        lines.append(f"  {index}: {json.dumps(name, ensure_ascii=False)}")
    yield "data.yaml", "".join(f"{line}\n" for line in lines)
    for part, listed in lists.items():
        yield f"{part}.txt", "".join(f"./images/{name}\n" for name in listed)


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


def _add_boxes(draft: Draft, folder: Path, label: str, names: list[str]) -> None:
    image = draft.images[-1]
    for index, line in enumerate(text_of(folder / label).splitlines(), start=1):
        words, place = line.split(), f"{label}: line {index}"
        if not words:
            continue
        name = names[int(words[0])] if _is_class(words[0], len(names)) else ""
        try:
            shares = _row(words, len(names))
        except ValueError as error:
            draft.read["unreadable"] += 1
            draft.leave_out(name, place, str(error))
            continue
        draft.read[name] += 1
        box = _pixels(shares, image["width"], image["height"])
        draft.add_box(name, box, place, _SLACK, category_id=int(words[0]) + 1)


def _row(words: Sequence[str], classes: int) -> list[Decimal]:
    """The four shares of a line."""
    if len(words) != 5:
        raise ValueError(f"{len(words)} numbers instead of 5 (a polygon or a score, perhaps)")
    if not _is_class(words[0], classes):
        raise ValueError(f"class {words[0][:20]!r} is outside 0..{classes - 1}")
    return [number(word) for word in words[1:]]


def _is_class(word: str, classes: int) -> bool:
    return word.isdecimal() and len(word) < 10 and int(word) < classes


def _label_files(files: Sequence[PurePosixPath], config: PurePosixPath) -> list[PurePosixPath]:
    """Text files under a folder `labels`; where there is none, every text file that is called like a picture."""
    texts = [path for path in files if path.suffix.casefold() == ".txt" and path != config]
    labels = [path for path in texts if "labels" in map(str.casefold, path.parent.parts)]
    stems = {path.stem.casefold() for path in files if path.suffix.casefold() in SUFFIXES}
    return labels or [path for path in texts if path.stem.casefold() in stems]


def _settings(folder: Path, config: PurePosixPath) -> dict[str, Any]:
    """What `data.yaml` says, with `names` as a list."""
    text = text_of(folder / config, records.MOST_SETTINGS)
    if config.suffix == ".txt":
        return {"names": [line.strip() for line in text.splitlines() if line.strip()]}
    try:
        settings = records.plain_yaml(text)
    except ValueError as error:
        raise DatasetError(f"{config}: not YAML ({error})", code="not-yaml", remedy="repair the file") from error
    names = settings.get("names") if isinstance(settings, dict) else None
    if isinstance(names, dict) and sorted(names, key=str) == sorted(range(len(names)), key=str):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        remedy = "give them under names:, in order"
        raise DatasetError(f"{config}: no list of category names", code="no-category-names", remedy=remedy)
    return {**(settings if isinstance(settings, dict) else {}), "names": names}


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
