"""Where the pictures of a COCO file are, however the machine that wrote it spells their names."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from wildbench.datasets.findings import Finding, read_document
from wildbench.errors import DatasetError

SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}

FOLDERS = ("", "images", "data", "images/default")
"""Where tools put pictures beside their labels: most, FiftyOne, CVAT."""

LOOKED_FOR = 20
"""Images that are looked for in a folder before it is taken."""


def normalised(path: Path) -> Path:
    """The same place whatever folder it is named from; links stay, because caches keep files behind links."""
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps "..", Path.resolve follows links


def images_near(path: Path, images: Sequence[Any] | None = None) -> Path:
    """Find the folder of a COCO file's images: one of the usual ones in its own or the next higher folder.

    Args:
        path: The file.
        images: Its image entries, where it has been read.

    Raises:
        DatasetError: `images-not-found`: none of them has any.
    """
    if images is None:
        document, _ = read_document(path)
        images = document.get("images") if isinstance(document, dict) else None
    images = images if isinstance(images, list) else []
    names = [one["file_name"] for one in images if isinstance(one, dict) and isinstance(one.get("file_name"), str)]
    names = names[:: max(1, len(names) // LOOKED_FOR)]
    own = normalised(path).parent
    words = re.findall(r"[a-z]+\d*", path.stem.casefold())  # instances_val2017: the pictures are in val2017
    folders: list[Path] = [
        base / name for base in (own, own.parent) for name in (*FOLDERS, *words, *(f"images/{word}" for word in words))
    ]
    for spellings in (names, [one for name in names for one in _spellings(name)]):
        for folder in dict.fromkeys(folders):
            if not names or any(is_file(folder / one) for one in spellings):
                return folder
    below = index_of(pictures_below(own))
    if any(suffix_match(name, below) for name in names):
        return own
    what = f"{path}: its image {names[0]} is neither in {own} nor in {own.parent}"
    raise DatasetError(what, code="images-not-found", remedy="name the folder by --images")


def locate(images: Iterable[Mapping[str, Any]], folder: Path) -> tuple[dict[str, str], list[Finding]]:
    """Find the pictures that are not where `file_name` says.

    Returns:
        The path below the folder of each of them, by `file_name`; and one finding on how they are misspelt.
    """
    missing = [name for image in images if not is_file(folder / (name := str(image["file_name"])))]
    if not missing:
        return {}, []
    found: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    below = index_of(pictures_below(folder))
    for name in missing:
        if match := suffix_match(name, below):
            found[name] = match
            reasons[_misspelling(name, match)] += 1
    if not found:
        return {}, []
    first = next(iter(found))
    causes = " and ".join(f"{count} with {reason}" for reason, count in reasons.most_common())
    message = (
        f"{len(found)} of {len(missing)} names not found as written ({causes}); {first!r:.80} is {found[first]!r:.80}"
    )
    remedy = "write file_name with slashes, relative to the folder of the images"
    return found, [Finding("file-name-spelling", "images", message, remedy, "warning")]


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name with a NUL in it is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _spellings(name: str) -> list[str]:
    """What a name may mean: its Windows path with slashes, its URL decoded, the path of its URL."""
    slashed = name.replace("\\", "/")
    path = urlsplit(slashed).path if "://" in slashed else slashed
    return list(dict.fromkeys([slashed, unquote(slashed), unquote(path).lstrip("/")]))


def pictures_below(folder: Path) -> Iterator[PurePosixPath]:
    """Pictures in a folder and its sub-folders, hidden ones apart, relative to it; in no order."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = PurePosixPath(Path(place).relative_to(folder).as_posix())
        yield from (below / name for name in names if PurePosixPath(name).suffix.casefold() in SUFFIXES)


def index_of(paths: Iterable[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    """Pictures by their name in lower case, for `suffix_match`."""
    index: dict[str, list[PurePosixPath]] = defaultdict(list)
    for path in paths:
        index[path.name.casefold()].append(path)
    return index


def suffix_match(name: str, index: Mapping[str, list[PurePosixPath]]) -> str | None:
    """The one picture that shares the most folders with a name, counted from its end; none where two share as many.

    A relative path in which a folder differs is another picture; folders of an absolute one are another machine's.
    """
    elsewhere = "://" in name or bool(re.match(r"[a-zA-Z]:[\\/]|[\\/]", name))
    best: dict[str, int] = {}
    for spelling in _spellings(name):
        wanted = PurePosixPath(spelling)
        for path in index.get(wanted.name.casefold(), ()):
            shared = _shared(path, wanted)
            if elsewhere or shared == min(len(path.parts), len(wanted.parts)):
                best[str(path)] = max(shared, best.get(str(path), 0))
    matches = [path for path, shared in best.items() if shared == max(best.values())]
    return matches[0] if len(matches) == 1 else None


def _shared(path: PurePosixPath, other: PurePosixPath) -> int:
    """How many parts two paths share from their end."""
    pairs: Iterator[tuple[str, str]] = zip(reversed(path.parts), reversed(other.parts), strict=False)
    count = 0
    for mine, theirs in pairs:
        if mine.casefold() != theirs.casefold():
            break
        count += 1
    return count


def _misspelling(name: str, match: str) -> str:
    if "\\" in name:
        return "backslashes"
    if "://" in name:
        return "a URL"
    if unquote(name) != name and PurePosixPath(unquote(name)).name == PurePosixPath(match).name:
        return "%-escapes"
    if PurePosixPath(name).is_absolute():
        return "an absolute path"
    return "other letter case" if name.casefold() == match.casefold() else "another folder"
