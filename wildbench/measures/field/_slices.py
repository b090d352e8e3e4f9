"""Accuracy and the empty filter place by place, night and day: any field of the images, or a column of a table."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from wildbench.datasets.coco import Dataset, Flags, Floats, Ints
from wildbench.datasets.image_groups import check_keys, field_of, field_text
from wildbench.errors import DatasetError
from wildbench.measures.field._drawing import Column, Drawing
from wildbench.measures.field._empty_filter import EmptyFilter
from wildbench.measures.matching import Matches, Scored
from wildbench.measures.uncertainty import LEVEL, Kind, average_precision_50, blocks_of, difference, holm
from wildbench.scorecard import Slice, Slicing

Slices = Mapping[str, Sequence[str | None]]
"""By field: what it says of each image, in the order of rising ids; None where it says nothing."""

MOST_SLICES = 40
"""Of one field, those with most images."""

SEEN = "seen"
"""The field that says whether an image's location is also in the training split."""


WITHIN = "images within locations"
"""What is drawn where a slice is a single location."""

INFRARED = "infrared"
"""The field that says whether a picture has no colour, as a camera's flash of infrared makes it by night."""

GREY = 4.0
"""Mean difference of a pixel's largest and smallest channel, of 255, below which a picture has no colour: JPEG's."""


def slice_values(
    data: Dataset, fields: Sequence[str], table: Path | None = None, *, training: Dataset | None = None
) -> Slices:
    """What each field says of every image, in the order of rising ids; None where it says nothing.

    Args:
        data: The data set.
        fields: Keys of the images, `folder:N`, columns of the table, `infrared`: whether the picture is grey, or
            `seen`: whether the image's location is also one of the training images'.
        table: A CSV with a column `file_name` or `image_id`; its other columns are fields.
        training: The images that the detector was trained on.

    Raises:
        DatasetError: `bad-group`: no image has the field; `slices-table`: the table has neither column.
    """
    images = sorted(data.images, key=lambda image: image["id"])
    columns = _read_table(table) if table else {}
    values: dict[str, list[str | None]] = {}
    for name in dict.fromkeys([*fields, *columns]):
        if name in columns:
            said = columns[name]
            values[name] = [said.get(str(image["file_name"])) or said.get(str(image["id"])) for image in images]
        elif name == SEEN and training is not None:
            places = {field_of(image, "location") for image in training.images}
            where = [field_of(image, "location") for image in images]
            values[name] = [None if one is None else "seen" if one in places else "unseen" for one in where]
        elif name == INFRARED and not any(name in image for image in images):
            values[name] = [_light(data.image_path(image)) for image in images]
        else:
            check_keys([name], images)
            values[name] = [field_of(image, name) for image in images]
    return values


def _light(path: Path) -> str | None:
    """Infrared or colour; None where the picture is not here or cannot be read."""
    from PIL import Image

    with suppress(OSError, ValueError, Image.DecompressionBombError), Image.open(path) as picture:
        picture.draft("RGB", (128, 128))
        pixels = np.asarray(picture.convert("RGB").resize((64, 64)), dtype=np.float64)
        return INFRARED if float(np.ptp(pixels, axis=2).mean()) < GREY else "colour"
    return None


def _read_table(path: Path) -> dict[str, dict[str, str | None]]:
    """By column: what it says, by file name or id."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: {error}", code="slices-table", remedy="name a CSV that can be read") from None
    names = list(rows[0]) if rows else []
    key = next((name for name in ("file_name", "image_id") if name in names), None)
    if key is None:
        what = f"{path}: no column file_name or image_id"
        raise DatasetError(what, code="slices-table", remedy="name each image in a column file_name")
    return {name: {row[key]: field_text(row[name]) for row in rows} for name in names if name != key}


def slicing(
    scored: Scored,
    screen: EmptyFilter,
    values: Sequence[str | None],
    threshold: float,
    kind: Kind,
    groups: Ints,
    replicates: int,
) -> Slicing:
    """Measure every slice, each against the mean of the others, and name the worst."""
    sizes = Counter(value for value in values if value is not None)
    names = [name for name, _ in sizes.most_common(MOST_SLICES)]
    masks = [np.array([value == name for value in values], dtype=np.bool_) for name in names]
    within = kind == "locations" and any(len(np.unique(groups[mask])) < 2 for mask in masks)
    if within:
        kind, groups = "images", np.arange(len(groups))
    drawing = Drawing(kind, groups, blocks_of(scored.matches, groups), replicates)
    ap50 = [average_precision_50(_of(scored.matches, mask)) for mask in masks]
    kept = [partial(_kept, screen, mask, threshold) for mask in masks]
    columns = [list(part) for part in drawing.columns([*ap50, *kept])]
    accuracy, kept_in = [part[0] for part in columns[: len(names)]], columns[len(names) :]
    p_values = [_p_value(accuracy, place, scored, mask) for place, mask in enumerate(masks)]
    tested = [place for place, one in enumerate(p_values) if one is not None]
    corrected = dict(zip(tested, holm([p for p in p_values if p is not None]), strict=True))
    slices = {
        name: _slice(scored, screen, masks[place], drawing, accuracy[place], kept_in[place], corrected.get(place))
        for place, name in enumerate(names)
    }
    worst = min((name for name in names if slices[name].ap50.value is not None), key=_ap50_in(slices), default=None)
    return Slicing(
        drawn=WITHIN if within else kind,
        threshold=threshold,
        slices=slices,
        left_out=len(values) - sum(sizes[name] for name in names),
        worst=worst,
        verdict=_verdict(worst, slices, len(tested)),
    )


def _ap50_in(slices: Mapping[str, Slice]) -> Callable[[str], float]:
    return lambda name: slices[name].ap50.value or 0.0


def _of(matches: Matches, images: Flags) -> Matches:
    """What concerns some images."""
    taken = images[matches.image]
    before = np.append(0, np.cumsum(taken))
    columns = {name: getattr(matches, name)[taken] for name in ("image", "score", "place", "overlap")}
    return replace(
        matches,
        start=before[matches.start],
        outcome=matches.outcome[:, :, taken],
        boxes=matches.boxes[images[matches.boxes[:, 2]]],
        **columns,
    )


def _kept(screen: EmptyFilter, images: Flags, threshold: float, weights: Ints) -> Floats:
    part = replace(screen, judged=screen.judged & images)
    return np.concatenate(part.at_thresholds([threshold], weights), axis=1)


def _boxes_in(scored: Scored, images: Flags) -> tuple[Ints, int]:
    """The image of each box of a slice, and of how many categories they are."""
    category, _, image = scored.matches.boxes[scored.matches.held()].T
    return image[images[image]], max(len(np.unique(category[images[image]])), 1)


def _slice(
    scored: Scored,
    screen: EmptyFilter,
    images: Flags,
    drawing: Drawing,
    ap50: Column,
    kept: Sequence[Column],
    p_value: float | None,
) -> Slice:
    judged, (boxes, categories) = images & screen.judged, _boxes_in(scored, images)
    animal, empty = np.flatnonzero(judged & screen.animal), np.flatnonzero(judged & ~screen.animal)
    return Slice(
        images=int(images.sum()),
        ap50=drawing.share(ap50, boxes, "boxes", "AP", categories),
        recall=drawing.share(kept[0], animal, "images with an animal"),
        false_alarms=drawing.share(kept[1], empty, "empty images", "per 1,000"),
        p_value=p_value,
    )


def _p_value(accuracy: Sequence[Column], place: int, scored: Scored, images: Flags) -> float | None:
    """Two-sided, of a slice that is as well detected as the others on average."""
    mine = accuracy[place]
    others = [one for number, one in enumerate(accuracy) if number != place and np.isfinite(one.value)]
    if not others or not np.isfinite(mine.value):
        return None
    whole, drawn, without = (
        np.stack([np.mean([getattr(one, part) for one in others], axis=0), getattr(mine, part)], axis=-1)
        for part in ("value", "drawn", "without")
    )
    boxes, categories = _boxes_in(scored, images)
    found = difference(whole, drawn, without, boxes=len(boxes), categories=categories)
    return None if found is None else found.p_value


def _verdict(worst: str | None, slices: Mapping[str, Slice], tested: int) -> str:
    if worst is None:
        return "no slice has a box"
    p_value = slices[worst].p_value
    if p_value is None:
        return f"{worst} is the lowest, and nothing says by how much it would be on other images"
    if p_value > 1 - LEVEL:
        return f"{worst} is the lowest of {tested}, but no lower than chance makes one of so many"
    return f"{worst} is worse than the others, also after looking at {tested} slices (p {p_value:.2g})"
