"""Pictures where they lie: behind a URL that fsspec opens (`s3://`, `gs://`, `az://`, `https://`, `hf://`), or in tars.

Tars are shards as WebDataset has them: `shards-{000..127}.tar`, here or behind a URL. Credentials are those that each
library finds by itself.
"""

from __future__ import annotations

import re
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from wildbench.datasets.images import Pixels, decode_bytes
from wildbench.errors import DatasetError, needs

TRIES, FIRST_WAIT = 5, 0.5
"""How often a picture is asked for, and the seconds before the second time; each wait is twice the one before."""

Answer = TypeVar("Answer")


def is_remote(place: Path | str | None) -> bool:
    """Whether pictures are behind a URL or in tars, not in a folder.

    Example:
        >>> is_remote("s3://bucket/images"), is_remote("shards-{000..127}.tar"), is_remote("photos")
        (True, True, False)
    """
    return place is not None and ("://" in str(place) or str(place).endswith(".tar"))


def pictures_at(place: str, wait: Callable[[float], object] = time.sleep) -> Callable[[str], Pixels]:
    """A function that reads a picture by its file name: uint8 [height, width, 3], RGB.

    Args:
        place: URL of a folder, or of tars.
        wait: Called with the seconds before a picture is asked for again.

    Raises:
        DatasetError: `remote-unreachable`: there is no such place, or it may not be read. The function raises
            `image-missing` or `image-unreadable`.
        MissingExtra: No library for this kind of URL is installed.
    """
    with needs("scale"):
        import fsspec
    folder, _, last = place.rpartition("/") if place.endswith(".tar") else (place.rstrip("/"), "", "")
    try:
        system, root = fsspec.url_to_fs(folder or ".")
    except (ImportError, ValueError) as error:
        remedy = "install the library, or copy the images"
        raise DatasetError(f"{place}: {error}", code="remote-unreachable", remedy=remedy) from None
    if last:
        tars = [f"{root}/{name}" for name in expand(last)]
        members: dict[str, tuple[str, int, int]] = {}
        for tar in tars:
            members |= _reachable(tar, wait, partial(_index, system, tar))
        return lambda name: _decoded(name, partial(_member, system, members, name), wait)
    _reachable(place, wait, partial(_check_folder, system, root))
    return lambda name: _decoded(name, partial(system.cat_file, f"{root}/{name}"), wait)


def expand(pattern: str) -> list[str]:
    """The names of a range in braces, as shells and WebDataset write it.

    Example:
        >>> expand("a-{08..10}.tar"), expand("b.tar")
        (['a-08.tar', 'a-09.tar', 'a-10.tar'], ['b.tar'])
    """
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if not match:
        return [pattern]
    first, last = match.groups()
    numbers = (f"{number:0{len(first)}}" for number in range(int(first), int(last) + 1))
    return [pattern[: match.start()] + number + pattern[match.end() :] for number in numbers]


def _check_folder(system: Any, root: str) -> None:  # noqa: ANN401 - fsspec has no types
    if system.protocol in ("file", ("file", "local")) and not system.isdir(root):
        raise FileNotFoundError(root)
    if "http" not in system.protocol and "https" not in system.protocol:  # which has no folders
        next(iter(system.ls(root, detail=False)), None)


def _index(system: Any, path: str) -> dict[str, tuple[str, int, int]]:  # noqa: ANN401
    """Where in a tar each of its files is: the tar, the first byte, and the one after the last."""
    with system.open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as archive:
        return {
            member.name.removeprefix("./"): (path, member.offset_data, member.offset_data + member.size)
            for member in archive
            if member.isreg()
        }


def _member(system: Any, members: dict[str, tuple[str, int, int]], name: str) -> bytes:  # noqa: ANN401
    if name not in members:
        raise FileNotFoundError(name)
    path, start, end = members[name]
    return bytes(system.cat_file(path, start=start, end=end))


def _reachable(place: str, wait: Callable[[float], object], ask: Callable[[], Answer]) -> Answer:
    try:
        return _retried(ask, wait)
    except Exception as error:  # each library has errors of its own
        what = f"{place}: {_reason(error)}"
        remedy = "check the address, and the credentials that its library uses"
        raise DatasetError(what, code="remote-unreachable", remedy=remedy) from None


def _decoded(name: str, fetch: Callable[[], bytes], wait: Callable[[float], object]) -> Pixels:
    try:
        data = _retried(fetch, wait)
    except FileNotFoundError:
        raise DatasetError(f"{name}: no such file", code="image-missing", remedy="put the image there") from None
    except Exception as error:  # as above
        what = f"{name}: {_reason(error)}"
        raise DatasetError(what, code="image-unreadable", remedy="run it again") from None
    return decode_bytes(data, name)


def _retried(ask: Callable[[], Answer], wait: Callable[[float], object]) -> Answer:
    """Ask again after errors that may pass; what is not there, or not allowed, does not come by asking."""
    for pause in _pauses():
        try:
            return ask()
        except (FileNotFoundError, PermissionError, NotADirectoryError, tarfile.ReadError):
            raise
        except Exception:
            if pause is None:
                raise
            wait(pause)
    raise AssertionError


def _pauses() -> Iterator[float | None]:
    yield from (FIRST_WAIT * 2**turn for turn in range(TRIES - 1))
    yield None


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
