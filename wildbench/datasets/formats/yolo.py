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
from pathlib import PurePosixPath
from typing import Any

import yaml

from wildbench.datasets.findings import Finding
from wildbench.datasets.formats._collection import EXACT, Box, Collection, Draft, Number, exact, number, repaired
from wildbench.datasets.formats._form import Folder, Form, folder_parts
from wildbench.datasets.formats._picture_files import (
    PARTS,
    Picture,
    look_at,
    orientation_unsure,
    pair,
    read_parts,
    short_names,
)
from wildbench.errors import DatasetError
from wildbench.progress import Progress

LISTS = ("classes.txt", "obj.names", "_darknet.labels")
"""Files with a name on each line, in the order of the classes; any other `.names` is one too."""

_DIGITS = (6, 9, 12, 17, 25, 45)
_GRID = Decimal("1e-30")
"""Pixels; finer differences are the rounding of the division."""

_SLACK = Decimal("0.01")
"""Pixels; six digits of a share are less than that in any picture."""


def read_yolo(folder: Folder, progress: Progress) -> Collection:
    """Read every label file and picture below a folder; a picture without label file is empty, as YOLO has it.

    Lines are boxes, or outlines, whose box is taken. Where the whole set counts its classes from 1, or is in pixels,
    nothing of it is read.

    Raises:
        DatasetError: `no-category-names`, `classes-from-one`, `boxes-pixels`, or `nothing-labelled`.
    """
    pictures, findings = look_at(folder.path, folder.pictures, progress)
    settings = _settings(folder, findings)
    labels = _label_files(folder)
    pairs = pair({str(path): "" for path in labels}, pictures, findings)
    lines = {label: list(_lines(folder, label)) for label in pairs.values()}
    names = _names(settings, lines, findings)
    _refuse_set(lines, len(names))
    draft = Draft("yolo", findings)
    named = dict(sorted(short_names(pictures).items()))
    outlines = _outlines(settings, lines, findings)
    for name, picture in named.items():
        draft.add_image(name, picture)
        if picture.orientation > 1:
            findings.append(orientation_unsure(picture, picture.name))
        for place, words in lines[pairs[picture.name]] if picture.name in pairs else ():
            _add_box(draft, place, words, names, outlines)
    if draft.read and not draft.boxes:
        what = f"none of the {draft.read.total()} boxes can be read; the first: {findings[-1].message}"
        raise DatasetError(what, code="nothing-labelled", remedy="repair the label files")
    ids = draft.ids
    lists = [path for path in folder.files if path not in labels and not _is_list_of_names(path)]
    parts = read_parts(folder.path, lists, ids, findings)
    parts = parts or _folder_parts(settings, {ids[name]: picture for name, picture in named.items()})
    return draft.collection(names, parts)


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


def _lines(folder: Folder, label: str) -> Iterator[tuple[str, list[str]]]:
    """The lines of a label file that are not empty, in words, with their places."""
    for index, line in enumerate(folder.text(PurePosixPath(label)).splitlines(), start=1):
        if words := line.split():
            yield f"{label}: line {index}", words


Lines = Mapping[str, Sequence[tuple[str, list[str]]]]
"""Places and words of the lines of each label file."""


def _class(word: str) -> int | None:
    """The class a word names, counted from 0: 2, or 2.0 as arrays are written; None where it is none."""
    whole, dot, rest = word.partition(".")
    return int(whole) if whole.isdecimal() and len(whole) < 10 and not rest.strip("0") and (rest or not dot) else None


def _refuse_set(lines: Lines, classes: int) -> None:
    """Refuse a set of which every line is wrong in the same way."""
    words = [row for rows in lines.values() for _, row in rows]
    used = {index for row in words if (index := _class(row[0])) is not None}
    if used and min(used) == 1 and max(used) == classes:
        what = f"classes go from 1 to {classes} and 0 never occurs: they look one too high"
        remedy = "subtract 1 from each, or give one more name first"
        raise DatasetError(what, code="classes-from-one", remedy=remedy)
    values = [[number(word) for word in row[1:5]] for row in words if len(row) > 4 and all(map(_is_number, row[1:5]))]
    far = sum(max(row) > 2 for row in values)
    if len(values) > 1 and far > 0.5 * len(values):
        what = f"{far} of {len(values)} boxes have numbers far above 1: they look like pixels"
        remedy = "divide x and width by the picture's width, y and height by its height"
        raise DatasetError(what, code="boxes-pixels", remedy=remedy)


def _is_number(word: str) -> bool:
    try:
        number(word)
    except ValueError:
        return False
    return True


def _outlines(settings: Mapping[str, Any], lines: Lines, findings: list[Finding]) -> bool:
    """Whether longer lines are outlines whose corners are kept; not where all of them have four, as turned boxes do."""
    lengths = Counter(len(row) for rows in lines.values() for _, row in rows)
    longer = {length: count for length, count in lengths.items() if length > 6}
    if "kpt_shape" in settings or not longer:
        return False
    turned = set(lengths) == {9}
    what = "turned boxes, of which the upright ones around them are taken" if turned else "outlines, whose box is taken"
    message = f"{sum(longer.values())} of {lengths.total()} lines are {what}"
    findings.append(Finding("box-from-outline", "label files", message, "look at the boxes", "note"))
    return not turned


def _add_box(draft: Draft, place: str, words: list[str], names: Sequence[str], outlines: bool) -> None:
    image, index = draft.images[-1], _class(words[0])
    name = names[index] if index is not None and index < len(names) else ""
    draft.read[name or "unreadable"] += 1
    if not name:
        draft.leave_out("", place, f"class {words[0][:20]!r} is outside 0..{len(names) - 1}")
        return
    try:
        values = [number(word) for word in words[1:]]
        box, fields = _box(values, image["width"], image["height"], outlines)
    except ValueError as error:
        draft.leave_out(name, place, str(error))
        return
    if len(values) == 5:
        draft.notes["lines with a sixth number, a score or a track, which is not read"] += 1
    draft.add_box(name, box, place, _SLACK, **fields)


def _box(values: Sequence[Decimal], width: int, height: int, outlines: bool) -> tuple[Box, dict[str, Any]]:
    """The box of a line in pixels, and the outline it came from where that is kept."""
    if len(values) < 4 or (len(values) > 5 and len(values) % 2 and outlines):
        raise ValueError(f"{len(values) + 1} numbers instead of 5")
    if len(values) <= 5 or not (outlines or len(values) == 8):  # of more, the rest are key points
        return _pixels(values[:4], width, height), {}
    across, down = [x * width for x in values[::2]], [y * height for y in values[1::2]]
    points = [float(value) for point in zip(across, down, strict=True) for value in point]
    return (min(across), min(down), max(across), max(down)), {"segmentation": [points]} if outlines else {}


def _is_list_of_names(path: PurePosixPath) -> bool:
    return path.name.casefold() in LISTS or path.suffix.casefold() == ".names"


def _label_files(folder: Folder) -> list[PurePosixPath]:
    """Text files under a folder `labels`; where there is none, every text file that is called like a picture."""
    texts = [path for path in folder.named(".txt") if not _is_list_of_names(path)]
    labels = [path for path in texts if "labels" in map(str.casefold, path.parent.parts)]
    stems = {path.stem.casefold() for path in folder.pictures}
    return labels or [path for path in texts if path.stem.casefold() in stems]


def _knows(folder: Folder) -> bool:
    """Whether there are names of classes, or text files called like pictures with numbers in them."""
    try:
        if any(_is_list_of_names(path) for path in folder.files) or any(_config(folder)):
            return True
    except DatasetError:  # it is to say so when it is read
        return True
    labels = [path for path in _label_files(folder) if folder.text(path).strip()]
    rows = [words for path in labels[:5] for _, words in _lines(folder, str(path))]
    return bool(rows) and all(len(words) > 4 and all(map(_is_number, words)) for words in rows)


def _config(folder: Folder) -> Iterator[dict[str, Any]]:
    """YAML files with `names`; every word of them is a text, so that `no` and 0 stay what was written."""
    for path in folder.named(".yaml", ".yml"):
        try:
            settings = yaml.load(folder.text(path)[: 1 << 20], yaml.BaseLoader)
        except (yaml.YAMLError, RecursionError) as error:
            if "names" not in folder.text(path):
                continue
            what = f"{path}: not YAML ({' '.join(str(error).split())[:100]})"
            raise DatasetError(what, code="not-yaml", remedy="repair the file") from None
        if isinstance(settings, dict) and settings.get("names"):
            yield settings | {"from": str(path)}


def _settings(folder: Folder, findings: list[Finding]) -> dict[str, Any]:
    """What a YAML file, or a list of names, says of the set; empty where there is neither."""
    found = list(_config(folder))
    if len(found) > 1 and any(one["names"] != found[0]["names"] for one in found):
        message = f"{found[0]['from']} and {found[1]['from']} give different names; the first is taken"
        findings.append(Finding("category-names-differ", "label files", message, "remove one", "warning"))
    if found:
        return found[0]
    lists = sorted(filter(_is_list_of_names, folder.files), key=lambda path: len(path.parts))
    lines = folder.text(lists[0]).splitlines() if lists else []
    return {"names": [line.strip() for line in lines if line.strip()]}


def _names(settings: Mapping[str, Any], lines: Lines, findings: list[Finding]) -> list[str]:
    """Category names by class; their numbers where nothing names them."""
    names: Any = settings["names"]
    if isinstance(names, dict):
        if not all(key.isdecimal() for key in names):
            what = f"{settings['from']}: the keys of names are no classes"
            raise DatasetError(what, code="no-category-names", remedy="give them under names:, in order")
        numbered = {int(key): name for key, name in names.items()}
        names = [numbered.get(index, str(index)) for index in range(max(numbered) + 1)]
    if not names:
        used = {_class(words[0]) or 0 for rows in lines.values() for _, words in rows}
        names = [str(index) for index in range(max(used, default=-1) + 1)]
        message = "nothing names the classes; they are called by their numbers"
        remedy = "give the names in data.yaml under names:, or in classes.txt"
        findings.append(Finding("category-unnamed", "label files", message, remedy, "warning"))
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        what = f"{settings.get('from', 'label files')}: no list of category names"
        raise DatasetError(what, code="no-category-names", remedy="give them under names:, in order")
    return names


def _folder_parts(settings: Mapping[str, Any], pictures: Mapping[int, Picture]) -> dict[str, list[int]]:
    """Parts that the settings give as folders, else those whose folders are called so; none where all are the same."""
    parts: dict[str, list[int]] = {}
    for key in filter(settings.__contains__, PARTS):
        folders = settings[key] if isinstance(settings[key], list) else [settings[key]]
        wanted = [
            "/".join(part for part in PurePosixPath(one).parts if part not in (".", "..", "/")) for one in folders
        ]
        inside = [index for index, one in pictures.items() if any(f"/{folder}/" in f"/{one.name}" for folder in wanted)]
        if inside:
            parts[PARTS[key]] = inside
    parts = parts or folder_parts(pictures)
    return {} if len(set(map(tuple, parts.values()))) == 1 < len(parts) else parts


FORM = Form("yolo", "YOLO", frozenset({".txt", ".yaml", ".yml", ".names", ".data"}), _knows, read_yolo, yolo_files)
"""How such a folder is known, read and written."""
