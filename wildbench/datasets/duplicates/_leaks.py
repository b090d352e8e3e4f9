"""Leaks: images in different parts of a data set that show the same."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from wildbench.datasets.coco import Dataset
from wildbench.datasets.duplicates._pairs import Pair, find_pairs
from wildbench.datasets.images import decode
from wildbench.errors import DatasetError
from wildbench.progress import Progress, silent


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
    """

    images: dict[str, int]
    leaks: list[Leak]
    shared_locations: list[str]


def find_leaks(parts: Sequence[Dataset], progress: Progress = silent) -> LeakReport:
    """Look for images of different parts that show the same (`duplicates.find_pairs`), and for shared locations.

    Args:
        parts: The parts, images at hand. A part is called by its split, or by its name where it has none.
        progress: Called as `progress(task, done, total)`.

    Raises:
        DatasetError: Fewer than two parts, two of one name, or an image that cannot be decoded.
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
    locations = [{str(image["location"]) for image in part.images if "location" in image} for part in parts]
    return LeakReport(
        images={name: len(part.images) for name, part in zip(names, parts, strict=True)},
        leaks=[Leak(places[pair.a], places[pair.b], pair) for pair in pairs],
        shared_locations=sorted(
            place for place in set().union(*locations) if sum(place in one for one in locations) > 1
        ),
    )


_SHOWN = 300
_LONG_SIDE = 280
_EXPLAINED = {
    "same file": "the same bytes",
    "same pixels": "other bytes, the same pixels",
    "same photograph": "the same pixels once one is scaled, cropped, turned, mirrored or recoloured as the other",
    "same scene": "the same background or subject, in other pixels",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Leaks</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
article { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem 1rem; padding: 1rem 0; border-top: 1px solid #ccc; }
h2 { grid-column: 1 / -1; font-size: 1rem; margin: 0; }
h2 span { font-weight: normal; color: #666; }
figure { margin: 0; }
img { max-width: 100%; height: auto; display: block; }
figcaption { font-size: .85rem; color: #444; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{ report.leaks|length }} pairs of images across parts</h1>
<p>Parts: {% for name, count in report.images.items() %}{{ ", " if not loop.first }}{{ name }} ({{ count }} images)\
{% endfor %}.</p>
{% if counts %}<ul>{% for kind, text in kinds.items() if counts[kind] %}\
<li>{{ counts[kind] }} {{ kind }}: {{ text }}</li>{% endfor %}</ul>{% endif %}
{% if report.shared_locations %}<p>Locations in more than one part: {{ report.shared_locations|join(", ") }}.</p>
{% endif %}
{% if report.leaks|length > shown %}<p>The strongest {{ shown }} are shown.</p>
{% endif %}
{% for leak in report.leaks[:shown] %}
<article><h2>{{ leak.pair.kind }} <span>correlation {{ "%.2f"|format(leak.pair.score) }}\
{{ ", %d matching keypoints"|format(leak.pair.matches) if leak.pair.matches is not none }}\
{{ ", mirrored" if leak.pair.mirrored }}</span></h2>
{% for place in (leak.a, leak.b) %}
<figure><img alt="" src="data:image/jpeg;base64,{{ thumbnail(place.path) }}">\
<figcaption>{{ place.part }}: {{ place.file_name }}</figcaption></figure>
{% endfor %}</article>
{% endfor %}
</body>
</html>
"""


def leaks_page(report: LeakReport) -> str:
    """Show each pair side by side, strongest first, in HTML that needs no other file.

    Of more than 300 pairs the strongest 300 are shown, and the page says so.

    Raises:
        DatasetError: An image that cannot be decoded.
    """
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(_PAGE)
    counts = Counter(leak.pair.kind for leak in report.leaks)
    return template.render(report=report, counts=counts, kinds=_EXPLAINED, shown=_SHOWN, thumbnail=_thumbnail)


def _thumbnail(path: Path) -> str:
    pixels = decode(path)
    factor = min(1.0, _LONG_SIDE / max(pixels.shape[:2]))
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return base64.b64encode(data.tobytes()).decode("ascii")
