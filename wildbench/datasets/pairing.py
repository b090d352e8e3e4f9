"""Which label file belongs to which picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from wildbench.datasets.collection import key_of
from wildbench.datasets.findings import Finding
from wildbench.datasets.picture_files import Picture


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
