"""Images that belong together, by what is known of them: a place, a sequence, a folder."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from wildbench.errors import DatasetError

UNKNOWN = frozenset({"", "-", "?", "unknown", "none", "null", "nan", "n/a", "na", "unspecified", "not recorded"})
"""Texts that say that nobody recorded it."""

BY = ("location", "seq_id")
"""What pictures are kept together by, unless a person says otherwise."""


def field_text(value: object) -> str | None:
    """A field of an image as text, the same for what reads alike; None where it says nothing.

    Example:
        >>> [field_text(value) for value in (7, "7", 7.0, " Gate ", {"lon": 2, "lat": 1}, None, "Unknown")]
        ['7', '7', '7', 'Gate', '{"lat": 1, "lon": 2}', None, None]
    """
    if value is None or value != value:  # NaN is not itself
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value).strip()
    return None if text.casefold() in UNKNOWN else text


def field_of(image: Mapping[str, Any], key: str) -> str | None:
    """What a key says of an image: a field, or `folder:N`, the first N folders of its path; None where nothing.

    Example:
        >>> image = {"file_name": "S1/cam07/IMG_042.jpg", "location": None}
        >>> field_of(image, "location"), field_of(image, "folder:2")
        (None, 'S1/cam07')
    """
    name, _, depth = key.partition(":")
    if name != "folder":
        return field_text(image.get(key))
    folders = PurePosixPath(str(image["file_name"]).replace("\\", "/")).parent.parts
    return "/".join(folders[: int(depth or 1)]) or None


def check_keys(keys: Iterable[str], images: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a key that is `folder:` without a number, or that no image has."""
    for key in keys:
        name, _, depth = key.partition(":")
        if name == "folder" and depth and not depth.isdecimal():
            raise DatasetError(
                f"{key!r} has no number of folders", code="bad-group", remedy="say folder:1, or folder:2"
            )
        if all(field_of(image, key) is None for image in images):
            known = sorted({field for image in images for field in image if field not in ("id", "width", "height")})
            what, remedy = f"no image has {key!r}", f"name one that they have: {', '.join(known)}, or folder:1"
            raise DatasetError(what, code="bad-group", remedy=remedy)


def together_by(images: Sequence[Mapping[str, Any]], keys: Iterable[str]) -> list[tuple[int, int]]:
    """Pairs of places in a list of images that share a value of some key."""
    pairs = []
    for key in keys:
        first: dict[str, int] = {}
        for number, image in enumerate(images):
            if (value := field_of(image, key)) is not None:
                pairs.append((first.setdefault(value, number), number))
    return pairs


def shared_values(parts: Iterable[Sequence[Mapping[str, Any]]], key: str) -> list[str]:
    """Values of a key that occur in more than one part, sorted."""
    uses = Counter(value for images in parts for value in {field_of(image, key) for image in images} if value)
    return sorted(value for value, count in uses.items() if count > 1)


def camera_like_folders(images: Sequence[Mapping[str, Any]]) -> int:
    """How many folders pictures lie in, where nothing else says where they were taken and several share one."""
    if any(field_of(image, key) for image in images for key in BY):
        return 0
    folders: dict[str, int] = defaultdict(int)
    for image in images:
        folders[PurePosixPath(str(image["file_name"])).parent.as_posix()] += 1
    return len(folders) if len(folders) > 1 and max(folders.values()) > 1 else 0
