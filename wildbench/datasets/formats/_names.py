"""Which label file belongs to which picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from wildbench.datasets.formats._collection import PARTS, key_of, part_of, text_of
from wildbench.datasets.formats._picture_files import Picture
from wildbench.datasets.label_checks import Finding


def pair(labels: Mapping[str, str], pictures: Sequence[Picture], findings: list[Finding]) -> dict[str, str]:
    """Find the picture of each label file: that of the same name, else the one that the file names.

    Args:
        labels: Path of each label file, and the picture's name that it states ("" where it states none).
        pictures: The pictures.
        findings: Gets `picture-missing`, `picture-ambiguous`, `filename-differs` and `picture-labelled-twice`.

    Returns:
        Label file by picture.
    """
    places = _Places(pictures)
    pairs: dict[str, str] = {}
    for label, stated in sorted(labels.items()):
        candidates = places.of(label, stated)
        if not candidates:
            named = f" and none of the name it states, {stated!r}" if stated else ""
            findings.append(Finding("picture-missing", label, f"no picture of its name{named}", "add the picture"))
            continue
        best = candidates[0]
        if len(candidates) > 1:
            message = f"{len(candidates)} pictures may be meant: {', '.join(candidates[:3])}; the first is taken"
            findings.append(Finding("picture-ambiguous", label, message, "give each picture its own name", "warning"))
        if stated and PurePosixPath(stated.replace("\\", "/")).stem.casefold() != PurePosixPath(best).stem.casefold():
            message = f"states the picture {stated!r}; {best} is taken"
            findings.append(Finding("filename-differs", label, message, "correct <filename>", "warning"))
        if best in pairs:
            message = f"{best} has labels in {pairs[best]} already; these are left out"
            findings.append(Finding("picture-labelled-twice", label, message, "keep one of the two files"))
            continue
        pairs[best] = label
    return pairs


class _Places:
    """Pictures by what they may be called."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.by_key: dict[str, list[str]] = defaultdict(list)
        self.by_stem: dict[str, list[str]] = defaultdict(list)
        for picture in pictures:
            path = PurePosixPath(picture.name)
            self.by_key[key_of(path)].append(picture.name)
            self.by_stem[path.stem.casefold()].append(picture.name)

    def of(self, label: str, stated: str) -> list[str]:
        """Pictures that may be meant, the likeliest first; one where the stated name decides."""
        path, named = PurePosixPath(label), PurePosixPath(stated.replace("\\", "/"))
        found = (
            self.by_key.get(key_of(path))
            or self.by_stem.get(path.stem.casefold())
            or (self.by_stem.get(named.stem.casefold()) if stated else None)
            or []
        )
        exact = [name for name in found if PurePosixPath(name).name == named.name]
        return exact if len(exact) == 1 else found


def read_parts(
    folder: Path, files: Sequence[PurePosixPath], ids: Mapping[str, int], findings: list[Finding]
) -> dict[str, list[int]]:
    """Read every list below a folder.

    Lines are names with or without a suffix, with or without folders; what follows a space (VOC's ` 1` and ` -1`) does
    not count where the whole line is no name.

    Args:
        folder: The folder.
        files: Every file below it; a list is a `.txt` whose name says a part. Where `train.txt` is there,
            `lion_train.txt` is none: VOC writes one a category, of the same images.
        ids: Image ids by `file_name`.
        findings: Gets `list-unknown`, `list-repeated`, `list-overlap` and `list-missing`.

    Returns:
        Image ids by part, in the order of the lists; empty where there is no list.
    """
    names, whole = _names(ids), _whole_names(ids)
    parts: dict[str, list[int]] = {}
    for path, part in _lists(files):
        listed: dict[int, None] = {}
        for number, line in enumerate(text_of((folder / path).read_bytes()).splitlines(), start=1):
            if not line.strip():
                continue
            place = f"{path}: line {number}"
            found = _find(line.strip(), whole, names)
            if len(found) != 1:
                message = f"{line.strip()[:80]!r} names {'more than one image' if found else 'no image'}"
                findings.append(Finding("list-unknown", place, message, "correct the list, or add the image"))
            elif found[0] in listed:
                message = f"{line.strip()[:80]!r} stands in the list already"
                findings.append(Finding("list-repeated", place, message, "list each image once", "warning"))
            else:
                listed[found[0]] = None
        parts[part] = list(dict.fromkeys([*parts.get(part, ()), *listed]))
    findings += _check(parts, ids)
    return parts


def _lists(files: Sequence[PurePosixPath]) -> list[tuple[PurePosixPath, str]]:
    """Each list with its part: those that are called as a part alone, else those whose name has one in it."""
    texts = [path for path in files if path.suffix.casefold() == ".txt"]
    plain = {PARTS[path.stem.casefold()] for path in texts if path.stem.casefold() in PARTS}
    named = [(path, part_of(path.stem)) for path in texts]
    return [(path, part) for path, part in named if part and (part not in plain or path.stem.casefold() in PARTS)]


def _whole_names(ids: Mapping[str, int]) -> dict[str, list[int]]:
    """Images by their whole relative name, with and without suffix: what a list that means just this one writes."""
    names: dict[str, list[int]] = defaultdict(list)
    for name, number in ids.items():
        for alias in dict.fromkeys((name, str(PurePosixPath(name).with_suffix("")))):
            names[alias.casefold()].append(number)
    return names


def _names(ids: Mapping[str, int]) -> dict[str, list[int]]:
    """Images by each name that a list may use: with and without folders, with and without suffix."""
    names: dict[str, list[int]] = defaultdict(list)
    for name, number in ids.items():
        path = PurePosixPath(name)
        for alias in dict.fromkeys((name, str(path.with_suffix("")), path.name, path.stem)):
            names[alias.casefold()].append(number)
    return names


def _find(line: str, whole: Mapping[str, list[int]], names: Mapping[str, list[int]]) -> list[int]:
    for text in (line, line.split()[0]):
        path = PurePosixPath(text.replace("\\", "/"))
        if found := whole.get(str(path).casefold()):
            return found
        suffixes = [PurePosixPath(*path.parts[start:]) for start in range(len(path.parts))]
        for alias in suffixes:
            found = names.get(str(alias).casefold()) or names.get(str(alias.with_suffix("")).casefold())
            if found:
                return found
    return []


def _check(parts: dict[str, list[int]], ids: Mapping[str, int]) -> list[Finding]:
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
            message = "in none of the lists; it belongs to no part"
            findings.append(Finding("list-missing", name, message, "list it", "warning"))
    return findings
