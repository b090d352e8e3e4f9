"""The outer layer of a `submission.pt`: plain data, read without torch and before anything in it is believed.

{"format": "wildbench-submission", "version": 2, "manifest": {...}, "groups": {...}, "index": n, "tensors": bytes}

`tensors` is one uint8 tensor: an index of n bytes, then all the tensors' bytes. Where activations are quantized the
version is 3, there is "activations": m, and m bytes about them stand between the two. Version 1 has
{"state_dict": {name: codec record}} instead of these.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from wildbench.errors import SubmissionError
from wildbench.records import check_values
from wildbench.submissions.manifest import FORMAT
from wildbench.submissions.source import Source

VERSION = 3
"""Newest version of the archive. Versions 1 and 2 are read too; anything newer is refused."""

PLAIN_VERSION = 2
"""Version of an archive without quantized activations, which readers of version 2 would leave out unseen."""

LARGEST_TEXT = 2 * 2**20
"""Bytes of an index before it is deflated; Faster R-CNN's, with every codec composed, has 0.1 million."""

SAVE = "save it with wildbench.save_submission(model, path, ...)"

STORAGES = {
    "torch.ByteStorage": "uint8",
    "torch.CharStorage": "int8",
    "torch.ShortStorage": "int16",
    "torch.IntStorage": "int32",
    "torch.LongStorage": "int64",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.FloatStorage": "float32",
    "torch.DoubleStorage": "float64",
    "torch.BoolStorage": "bool",
}
"""Element types by the class that a pickle names."""

OPCODES = {
    code: load
    for code, load in pickle._Unpickler.dispatch.items()
    if bytes([code])
    not in (
        *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
        *(pickle.PERSID, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
    )
}
"""What plain data need; those left out make objects, or allocate before anything is read."""

MOST_PICKLED = 2**24
"""Bytes of a pickle: tensors lie beside it, and what is left of a training checkpoint takes a few million."""

MOST_OPCODES = 2**20
"""Of a pickle; a detector's has about fifty thousand."""


def _build(self: Any) -> None:  # noqa: ANN401 - an unpickler
    """Leave out what an object is given beside its items, such as the metadata of a state dict."""
    self.stack.pop()


OPCODES[pickle.BUILD[0]] = _build


class Stored(NamedTuple):
    """A tensor that the pickle describes: a contiguous part of a record."""

    record: str
    dtype: str
    shape: tuple[int, ...]
    offset: int


@dataclass(frozen=True)
class Content:
    """What a `submission.pt` holds, not yet decoded.

    Attributes:
        manifest: Plain data, not yet validated.
        version: Of the archive.
        records: In version 1, codec records by tensor, with `Stored` for their tensors.
        index: Else, the deflated index.
        activations: How activations are quantized, packed; empty where they are not.
        data: Bytes of the tensors that the index describes.
        groups: Groups of normalisation layers, where their widths do not imply them.
        overhead: Bytes of the file that belong to no tensor, by what they are for.
    """

    manifest: dict[str, Any]
    version: int
    records: dict[str, Any]
    index: bytes
    activations: bytes
    data: memoryview
    groups: dict[str, int]
    overhead: dict[str, int]


def read_plain(source: Source) -> Any:  # noqa: ANN401 - whatever the file holds
    """The plain data of any file that `torch.save` wrote, with `Stored` for its tensors and `Ignored` for its objects.

    Nothing is executed: what the pickle would make of other classes is left out.

    Raises:
        SubmissionError: It is no such file, its records are compressed, or it is damaged.
    """
    return _unpickled(source, _LenientUnpickler)


def read_content(source: Source) -> Content:
    """Read the plain data of a submission, executing and decoding nothing; a SubmissionError where it is none."""
    content = _unpickled(source)
    version = _version(content, source)
    if not isinstance(content.get("manifest"), dict):
        raise _incomplete(source, "`manifest` is missing")
    if (version == VERSION) != ("activations" in content):
        raise _incomplete(source, f"`activations` do not belong to version {version}, or are missing")
    if version == 1:
        records = content.get("state_dict")
        if not isinstance(records, dict) or not all(isinstance(name, str) for name in records):
            raise _incomplete(source, "`state_dict` is missing")
        return Content(content["manifest"], 1, records, b"", b"", memoryview(b""), {}, {})
    whole, groups = _bytes_of(content.get("tensors"), source), content.get("groups")
    length, more = _count(content.get("index")), _count(content.get("activations", 0))
    if length is None or more is None or length + more > len(whole):
        raise _incomplete(source, "`index` or `tensors` is missing or damaged")
    if not isinstance(groups, dict) or any(
        not isinstance(name, str) or type(count) is not int or count < 1 for name, count in groups.items()
    ):
        raise _incomplete(source, "`groups` is damaged")
    overhead = {"manifest": source.records["data.pkl"].file_size, "index": length}
    overhead |= {"activations": more} if more else {}
    index, activations, data = bytes(whole[:length]), bytes(whole[length : length + more]), whole[length + more :]
    return Content(content["manifest"], version, {}, index, activations, data, groups, overhead)


def inflate(data: bytes) -> bytes:
    """Inflate untrusted text; a ValueError beyond `LARGEST_TEXT` or where more follows, a zlib.error for damage."""
    decoder = zlib.decompressobj()
    text = decoder.decompress(data, LARGEST_TEXT)
    if not decoder.eof or decoder.unused_data:
        raise ValueError(f"not a deflated text of at most {LARGEST_TEXT:,} bytes")
    return text


class _Forbidden(Exception):
    """A pickle names something that is not plain data."""


class _PlainUnpickler(pickle._Unpickler):
    """Makes containers, numbers, strings and `Stored` of a torch pickle, and nothing else.

    In Python, not C: its memo is a dictionary, so that a large number in the stream allocates nothing.
    """

    dispatch = OPCODES

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        """The three things that a pickle of tensors names."""
        full = f"{module}.{name}"
        if full == "collections.OrderedDict":
            return OrderedDict
        if full == "torch._utils._rebuild_tensor_v2":
            return _stored
        if full in STORAGES:
            return STORAGES[full]
        raise _Forbidden(full)

    def persistent_load(self, pid: Any) -> tuple[str, str]:  # noqa: ANN401 - untrusted
        """A storage: its record and its element type."""
        _, dtype, key, *_ = pid
        if not isinstance(dtype, str) or not isinstance(key, str):
            raise ValueError("no storage")
        return f"data/{key}", dtype


class Ignored:
    """What stands for an object of a class that is not known; it keeps nothing."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...

    def __setitem__(self, *_: object) -> None: ...

    def __call__(self, *_: object) -> Ignored:
        """Itself, where a pickle takes it for a function."""
        return self

    append = extend = add = __setstate__


class _LenientUnpickler(_PlainUnpickler):
    """Makes `Ignored` of everything else: the options and the optimizer's objects in a training checkpoint."""

    dispatch = OPCODES | {pickle.NEWOBJ[0]: pickle._Unpickler.dispatch[pickle.NEWOBJ[0]]}

    def find_class(self, module: str, name: str) -> Callable[..., Any] | str:
        """What plain data need, and a stand-in for the rest."""
        try:
            return super().find_class(module, name)
        except _Forbidden:
            return Ignored


def _stored(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Stored:  # noqa: ANN401 - untrusted
    record, dtype = storage
    sides = tuple(shape)
    if any(type(number) is not int or number < 0 for number in (*sides, offset)):
        raise ValueError("a tensor of no size")
    contiguous = tuple(math.prod(sides[at + 1 :]) for at in range(len(sides)))
    if math.prod(sides) > 1 and any(
        side > 1 and stride != usual for side, stride, usual in zip(sides, strides, contiguous, strict=True)
    ):
        raise ValueError("a tensor that is not contiguous")
    return Stored(record, dtype, sides, offset)


def _unpickled(source: Source, unpickler: type[_PlainUnpickler] = _PlainUnpickler) -> Any:  # noqa: ANN401 - untrusted
    """The plain data in the file, whose records must be uncompressed and undamaged."""
    if not source.is_zip:
        problem = "a bare pickle, as torch.save wrote before 1.6, and unpickling runs whatever code it names"
        raise source.error(problem, code="bare-pickle", remedy=f"load it where you trust it and {SAVE}")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in source.records.values()):
        problem = "its records are compressed by the zip, so their sizes are not the tensors' own"
        raise source.error(problem, code="zipped-records", remedy="save it with a codec instead")
    for name in source.records:
        if not name.startswith("data/"):  # those are checked when they are read
            source.record(name)
    try:
        data = source.record("data.pkl")
        if len(data) > MOST_PICKLED or sum(1 for _ in islice(pickletools.genops(data), MOST_OPCODES)) == MOST_OPCODES:
            raise ValueError(f"more than {MOST_PICKLED:,} bytes or {MOST_OPCODES:,} steps")
        content = unpickler(io.BytesIO(data)).load()
        check_values(content)
        return content
    except _Forbidden as error:
        problem = f"a pickled {error}, and unpickling an object runs whatever code the file names"
        remedy = f"{SAVE}, or export it as TorchScript, torch.export or ONNX"
        raise source.error(problem, code="pickled-object", remedy=remedy) from None
    except SubmissionError:
        raise
    except Exception as error:  # a damaged stream raises errors of many kinds
        raise source.error(f"data.pkl is damaged ({str(error)[:200]})") from None


def _version(content: Any, source: Source) -> int:  # noqa: ANN401 - whatever the file holds
    if not isinstance(content, dict) or "format" not in content:
        bare = isinstance(content, dict) and any(isinstance(value, Stored) for value in content.values())
        problem = "a bare state dict, which does not say what detector it belongs to" if bare else "not a submission"
        remedy = "wrap it: wildbench.save_submission(state_dict, path, detector=..., categories=[...])"
        raise source.error(problem, code="bare-state-dict" if bare else "not-a-submission", remedy=remedy)
    tag, version = content["format"], content.get("version")
    if not isinstance(tag, str) or tag != FORMAT:
        shown = repr(tag[:40]) if isinstance(tag, str) else f"of type {type(tag).__name__}"
        raise source.error(f"format tag {shown} is not {FORMAT!r}", code="not-a-submission", remedy=SAVE)
    if type(version) is not int or not 1 <= version <= VERSION:
        shown = str(version)[:40] if isinstance(version, (int, str)) else f"of type {type(version).__name__}"
        problem = f"format version {shown} is newer than this wildbench reads ({VERSION})"
        raise source.error(problem, code="newer-version", remedy="upgrade wildbench")
    return version


def _bytes_of(tensor: object, source: Source) -> memoryview:
    """The bytes of the one uint8 tensor."""
    if not isinstance(tensor, Stored) or tensor.dtype != "uint8" or len(tensor.shape) != 1:
        raise _incomplete(source, "`index` or `tensors` is missing or damaged")
    return read_stored(tensor, 1, source)


def read_stored(tensor: Stored, itemsize: int, source: Source) -> memoryview:
    """The bytes of a tensor; SubmissionError where the file holds fewer."""
    data = memoryview(source.record(tensor.record)) if tensor.record in source.records else memoryview(b"")
    start, size = tensor.offset * itemsize, math.prod(tensor.shape) * itemsize
    if start + size > len(data):
        raise source.error(f"{tensor.record} has fewer bytes than its tensor")
    return data[start : start + size]


def _incomplete(source: Source, problem: str) -> SubmissionError:
    return source.error(problem, code="incomplete", remedy=SAVE)


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
