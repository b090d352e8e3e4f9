"""Picture files as they really are, and which labels and which part belong to each."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import ExifTags, Image, UnidentifiedImageError

from wildbench.datasets.findings import Finding
from wildbench.datasets.image_files import is_file
from wildbench.datasets.images import FORMATS, decode
from wildbench.errors import DatasetError
from wildbench.files import read_bounded
from wildbench.progress import Progress

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names that authors give to a part, and ours."""

_ROLES = {"annotations", "images", "imageset", "jpegimages", "labels", "xml", "xmls"}
_READ_ALIKE = ("JPEG", "MPO", "PNG")
"""Forms that Pillow (it calls some JPEGs MPO) and `decode` of evaluation both read; others `decode` judges."""

_LITTER = {"__macosx", "thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Picture:
    """A picture file: `name` is its path below the folder that was read, with slashes; sides are of the stored pixels.

    From 5 on, the EXIF orientation swaps width and height.
    """

    path: Path
    name: str
    width: int
    height: int
    orientation: int
    sha256: str


def orientation_unsure(picture: Picture, place: str) -> Finding:
    """A picture that EXIF turns, while nothing says whether its labels do too."""
    message = f"EXIF orientation {picture.orientation}: nothing tells whether the boxes are of the turned picture"
    remedy = "look at the boxes; they are taken to be of the stored pixels"
    return Finding("orientation-unsure", place, message, remedy, "warning")


def turned_size(path: Path) -> tuple[int, int, int] | None:
    """Stored width and height, and the EXIF orientation, of a picture that it lays on its side; None of others."""
    if not is_file(path):  # a pipe would be waited for
        return None
    with contextlib.suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), Image.open(path) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return (*image.size, orientation) if isinstance(orientation, int) and 5 <= orientation <= 8 else None
    return None


def check_size(
    place: str, size: tuple[int, int] | None, picture: Picture, findings: list[Finding], scaled: bool = False
) -> bool:
    """Compare the stated size with the real one, as stored and as EXIF turns it; True where boxes have to be turned.

    Boxes in shares of the sides are `scaled`, so that another size is no matter.
    """
    real, turned = (picture.width, picture.height), picture.orientation >= 5
    if turned and size == real[::-1] != real:
        message = f"boxes are of the picture as EXIF orientation {picture.orientation} turns it; turned back"
        findings.append(Finding("boxes-turned", place, message, "store the picture upright", "warning"))
        return True
    if picture.orientation > 1 and (size is None or not turned or real[0] == real[1]):
        findings.append(orientation_unsure(picture, place))
    if size is not None and size != real and not scaled:
        stated = f"{size[0]} x {size[1]}"
        message = f"states {stated}, the picture has {real[0]} x {real[1]}; boxes are kept, not scaled"
        findings.append(Finding("size-differs", place, message, "look at the boxes of this picture", "warning"))
    return False


def files_below(folder: Path) -> list[PurePosixPath]:
    """Every file below a folder, sorted, without pipes, devices, hidden files and litter; links are followed.

    A name that is not UTF-8 is refused, because no JSON can hold it.
    """
    files, seen = [], set()
    for place, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [name for name in folders if real not in seen and not _is_litter(name)]
        if real in seen:  # a link in a circle
            continue
        seen.add(real)
        below = PurePosixPath(Path(place).relative_to(folder).as_posix())
        files += [below / name for name in names if not _is_litter(name) and Path(place, name).is_file()]
    for path in files:
        if any(0xD800 <= ord(letter) < 0xE000 for letter in str(path)):
            what = f"{folder}: the name {str(path)!r} is not UTF-8"
            raise DatasetError(what, code="name-not-utf8", remedy="rename the file")
    return sorted(files)


def _refuse(error: OSError) -> None:
    what = f"{error.filename}: {error.strerror}"
    raise DatasetError(what, code="unreadable-folder", remedy="see that the folder can be read") from error


def _is_litter(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LITTER


def look_at(folder: Path, names: Sequence[PurePosixPath], progress: Progress) -> tuple[list[Picture], list[Finding]]:
    """Read every picture file to its end; refuse one of more than `files.MOST_PIXELS` (a bomb)."""
    pictures, findings = [], []
    with ThreadPoolExecutor(4) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # Pillow's, about EXIF and palettes
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for done, seen in enumerate(pool.map(lambda name: _look(folder, name), names), start=1):
            progress("read pictures", done, len(names))
            if isinstance(seen, Picture):
                pictures.append(seen)
            else:
                findings.append(seen)
    return pictures, findings + list(_repeated(pictures))


def _look(folder: Path, name: PurePosixPath) -> Picture | Finding:
    path = folder / name
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
                width, height = image.size
                if image.format in _READ_ALIKE:
                    image.draft("L", (1, 1))  # a JPEG is read to its end, but not in full detail
                    image.load()
                else:
                    height, width = decode(path).shape[:2]
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        remedy = "take the picture out, if you trust the others"
        raise DatasetError(f"{name}: {error}", code="image-too-large", remedy=remedy) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, DatasetError) as error:
        message = f"no whole picture ({_why(error)}); left out with its boxes"
        return Finding("image-unreadable", str(name), message, "replace the file")
    orientation = orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
    return Picture(path, str(name), width, height, orientation, digest)


def _why(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "of no form that is read"
    return "it cannot be decoded" if isinstance(error, DatasetError) else " ".join(str(error).split())[:100]


def _repeated(pictures: Iterable[Picture]) -> Iterable[Finding]:
    first: dict[str, str] = {}
    for picture in pictures:
        if picture.sha256 in first:
            message = f"the same file as {first[picture.sha256]}; both are kept"
            yield Finding("image-repeated", picture.name, message, "keep both in one split", "warning")
        first.setdefault(picture.sha256, picture.name)


def short_names(pictures: Sequence[Picture]) -> dict[str, Picture]:
    """Pictures by their names below the deepest folder that holds them all."""
    folders = [PurePosixPath("/", picture.name).parent for picture in pictures]
    shared = os.path.commonpath(folders) if folders else "/"
    return {PurePosixPath("/", picture.name).relative_to(shared).as_posix(): picture for picture in pictures}


def key_of(path: PurePosixPath) -> str:
    """What a picture and its label share: the path without the folders that tell the two apart, and without suffix."""
    folders = [part for part in path.parent.parts if part.casefold() not in _ROLES]
    return "/".join([*folders, path.stem]).casefold()


def part_of(stem: str) -> str | None:
    """Which part a file's name says: `valid` is val, `instances_train2017` is train."""
    words = re.findall(r"[a-z]+", stem.casefold())
    named = {PARTS[word] for word in words if word in PARTS}
    return named.pop() if len(named) == 1 else None


MOST_TEXT = 64 << 20
"""Bytes of a list, or of one picture's labels."""


def text_of(path: Path, most: int = MOST_TEXT) -> str:
    """Text in whatever encoding: UTF-8 or UTF-16 with a mark, UTF-8, else Latin-1, which reads any bytes."""
    try:
        data = read_bounded(path, most)
    except OSError as error:
        what = f"{path}: {error.strerror}"
        raise DatasetError(what, code="text-unreadable", remedy="take the file out, and look at it") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def pair(labels: Mapping[str, str], pictures: Sequence[Picture], findings: list[Finding]) -> dict[str, str]:
    """Find the picture of each label file: that of the same name, else the one that the file names."""
    places: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        places[key_of(PurePosixPath(picture.name))].append(picture.name)
        places[f"\0{PurePosixPath(picture.name).stem.casefold()}"].append(picture.name)  # whatever its folder
    pairs: dict[str, str] = {}
    for label, stated in sorted(labels.items()):
        named = PurePosixPath(stated.replace("\\", "/"))
        candidates = _candidates(label, named, places)
        if not candidates:
            other = f" and none of the name it states, {stated!r}" if stated else ""
            findings.append(Finding("picture-missing", label, f"no picture of its name{other}", "add the picture"))
            continue
        best = candidates[0]
        if len(candidates) > 1:
            message = f"{len(candidates)} pictures may be meant: {', '.join(candidates[:3])}; the first is taken"
            findings.append(Finding("picture-ambiguous", label, message, "give each picture its own name", "warning"))
        if stated and named.stem.casefold() != PurePosixPath(best).stem.casefold():
            message = f"states the picture {stated!r}; {best} is taken"
            findings.append(Finding("filename-differs", label, message, "correct <filename>", "warning"))
        if best in pairs:
            message = f"{best} has labels in {pairs[best]} already; these are left out"
            findings.append(Finding("picture-labelled-twice", label, message, "keep one of the two files"))
            continue
        pairs[best] = label
    return pairs


def _candidates(label: str, stated: PurePosixPath, places: Mapping[str, list[str]]) -> list[str]:
    """Pictures that may be meant, the likeliest first; one where the stated name decides."""
    path = PurePosixPath(label)
    keys = (key_of(path), f"\0{path.stem.casefold()}", f"\0{stated.stem.casefold()}")
    candidates = next((places[key] for key in keys if key in places), [])
    exact = [name for name in candidates if PurePosixPath(name).name == stated.name]
    return exact if len(exact) == 1 else candidates


def read_parts(
    folder: Path, files: Sequence[PurePosixPath], ids: Mapping[str, int], findings: list[Finding]
) -> dict[str, list[int]]:
    """Read every list below a folder.

    Lines are names with or without a suffix, with or without folders; what follows a space (VOC's ` 1` and ` -1`) does
    not count where the whole line is not a name.
    """
    aliases = _aliases(ids)
    parts: dict[str, list[int]] = {}
    for path, part in _lists(files):
        listed: dict[int, None] = {}
        for number, line in enumerate(text_of(folder / path).splitlines(), start=1):
            if not line.strip():
                continue
            place = f"{path}: line {number}"
            named = _named(line.strip(), aliases)
            if len(named) != 1:
                message = f"{line.strip()[:80]!r} names {'more than one image' if named else 'no image'}"
                findings.append(Finding("list-unknown", place, message, "correct the list, or add the image"))
            elif named[0] in listed:
                message = f"{line.strip()[:80]!r} is in the list already"
                findings.append(Finding("list-repeated", place, message, "list each image once", "warning"))
            else:
                listed[named[0]] = None
        parts[part] = list(dict.fromkeys([*parts.get(part, ()), *listed]))
    findings += _check_parts(parts, ids)
    return parts


def _lists(files: Sequence[PurePosixPath]) -> list[tuple[PurePosixPath, str]]:
    """Each list with its part: those named as a part, else those that contain its name (`lion_train.txt`)."""
    texts = [path for path in files if path.suffix.casefold() == ".txt"]
    plain = {PARTS[path.stem.casefold()] for path in texts if path.stem.casefold() in PARTS}
    named = [(path, part_of(path.stem)) for path in texts]
    return [(path, part) for path, part in named if part and (part not in plain or path.stem.casefold() in PARTS)]


def _aliases(ids: Mapping[str, int]) -> dict[str, list[int]]:
    """Images by each name that a list may use, with and without suffix; a whole name goes before a name in a folder."""
    whole: dict[str, list[int]] = defaultdict(list)
    short: dict[str, list[int]] = defaultdict(list)
    for name, number in ids.items():
        path = PurePosixPath(name)
        for alias in {name, str(path.with_suffix(""))}:
            whole[alias.casefold()].append(number)
        for alias in {path.name, path.stem}:
            short[alias.casefold()].append(number)
    return {**short, **whole}


def _named(line: str, aliases: Mapping[str, list[int]]) -> list[int]:
    """Images that a line of a list may mean."""
    for text in (line, line.split()[0]):
        path = PurePosixPath(text.replace("\\", "/"))
        for start in range(len(path.parts)):
            below = PurePosixPath(*path.parts[start:])
            images = aliases.get(str(below).casefold()) or aliases.get(str(below.with_suffix("")).casefold())
            if images:
                return images
    return []


def _check_parts(parts: dict[str, list[int]], ids: Mapping[str, int]) -> list[Finding]:
    """Take an image that is in two parts out of the first; report it, and images in no part where there are parts."""
    if not parts:
        return []
    of: dict[int, list[str]] = defaultdict(list)
    for part, listed in parts.items():
        for number in listed:
            of[number].append(part)
    findings = []
    for name, number in ids.items():
        if len(of[number]) > 1:
            message = f"in {' and in '.join(of[number])}; taken for {of[number][-1]} alone"
            findings.append(Finding("list-overlap", name, message, "an image belongs to one part", "warning"))
            for part in of[number][:-1]:
                parts[part].remove(number)
        elif not of[number]:
            message = "not in any list, so it belongs to no part"
            findings.append(Finding("list-missing", name, message, "list it", "warning"))
    return findings
