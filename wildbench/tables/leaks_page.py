"""The page of a leak report: one HTML file, pictures and all."""

from __future__ import annotations

import base64
from collections import Counter
from html import escape
from typing import TYPE_CHECKING

import cv2

from wildbench.datasets.images import decode

if TYPE_CHECKING:
    from pathlib import Path

    from wildbench.datasets.leaks import Leak, LeakReport, Place

_SHOWN = 300
_LONG_SIDE = 280
_EXPLAINED = {
    "same file": "the same bytes",
    "same pixels": "other bytes, the same pixels",
    "same photograph": "the same pixels once one is scaled, cropped, turned, mirrored or recoloured as the other",
    "same scene": "the same background or subject, in other pixels",
}
_HEAD = """<!DOCTYPE html>
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
"""


def leaks_page(report: LeakReport) -> str:
    """Show each pair side by side, strongest first, in HTML that needs no other file.

    Of more than 300 pairs the strongest 300 are shown, and the page says so.

    Raises:
        DatasetError: An image that cannot be decoded.
    """
    parts = ", ".join(f"{escape(name)} ({count} images)" for name, count in report.images.items())
    counts = Counter(leak.pair.kind for leak in report.leaks)
    lines = [f"<h1>{len(report.leaks)} pairs of images across parts</h1>", f"<p>Parts: {parts}.</p>"]
    if counts:
        kinds = [f"<li>{counts[kind]} {kind}: {text}</li>" for kind, text in _EXPLAINED.items() if counts[kind]]
        lines.append(f"<ul>{''.join(kinds)}</ul>")
    if report.shared_locations:
        lines.append(f"<p>Locations in more than one part: {escape(', '.join(report.shared_locations))}.</p>")
    if len(report.leaks) > _SHOWN:
        lines.append(f"<p>The strongest {_SHOWN} are shown.</p>")
    lines += [_article(leak) for leak in report.leaks[:_SHOWN]]
    return _HEAD + "\n".join(lines) + "\n</body>\n</html>\n"


def _article(leak: Leak) -> str:
    matches = "" if leak.pair.matches is None else f", {leak.pair.matches} matching keypoints"
    mirrored = ", mirrored" if leak.pair.mirrored else ""
    evidence = f"correlation {leak.pair.score:.2f}{matches}{mirrored}"
    head = f"<h2>{leak.pair.kind} <span>{evidence}</span></h2>"
    return f"<article>{head}{_figure(leak.a)}{_figure(leak.b)}</article>"


def _figure(place: Place) -> str:
    caption = f"{escape(place.part)}: {escape(place.file_name)}"
    return (
        f'<figure><img alt="" src="data:image/jpeg;base64,{_thumbnail(place.path)}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _thumbnail(path: Path) -> str:
    pixels = decode(path)
    factor = min(1.0, _LONG_SIDE / max(pixels.shape[:2]))
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return base64.b64encode(data.tobytes()).decode("ascii")
