"""What torch itself exports: TorchScript (`torch.jit.save`) and programs of torch.export (`torch.export.save`).

Both are zips with the same slot for a manifest, and opening either can run code that is in it.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from typing import TYPE_CHECKING, Any, ClassVar

from wildbench.submissions.contract import Manifest
from wildbench.submissions.formats._format import Format, Listing, Tensor, width_of
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    from torch import nn

    from wildbench.submissions.formats._torch_backend import TorchBackend

EXTRA_RECORD = "extra/manifest.json"
"""Where torch keeps the extra file "manifest.json"."""

NOT_READ = "the file lists its tensors in a pickle, which is not read"

NUMBERS = ("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
DTYPES = {**dict(enumerate(NUMBERS, 1)), 12: "bool", 13: "bfloat16"}
"""`torch._export.serde.schema.ScalarType`, by number."""


class TorchScript(Format):
    """A zip with code. Its tensors cannot be listed without unpickling."""

    name, suffix, title = "torchscript", ".pt", "TorchScript"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "wildbench.submissions.formats._torch_backend")
    counter = "wildbench.measures.compute:count_torch"

    def sniff(self, source: Source) -> bool:
        """A zip with constants and code."""
        return "constants.pkl" in source.records and any(name.startswith("code/") for name in source.records)

    def manifest(self, source: Source) -> bytes | None:
        """The extra file."""
        return source.record(EXTRA_RECORD) if EXTRA_RECORD in source.records else None

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """Append the extra file; torch finds it wherever it stands in the zip."""
        if EXTRA_RECORD in source.records:
            raise source.error("has a manifest inside already", code="has-manifest", remedy=EXPORT_AGAIN)
        whole = io.BytesIO(source.data)
        with zipfile.ZipFile(whole, "a") as archive:
            root = archive.namelist()[0].partition("/")[0]
            archive.writestr(zipfile.ZipInfo(f"{root}/{EXTRA_RECORD}"), manifest.to_json())
        return whole.getvalue()

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """None, and the sizes of the zip's parts."""
        parts: dict[str, int] = {}
        for name, entry in source.records.items():
            folder, slash, _ = name.partition("/")
            if slash and folder in ("data", "code", "constants"):
                parts[folder] = parts.get(folder, 0) + entry.compress_size
        return Listing(None, parts, reason=NOT_READ)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> TorchBackend:
        """Load it in torch, which may run code in it."""
        from wildbench.submissions.formats._torch_backend import TorchBackend, torch_device

        device = torch_device(device, threads)
        try:
            return TorchBackend(self.load(io.BytesIO(source.data), device), device, manifest)
        except MemoryError:
            raise
        except Exception as error:  # errors of many kinds for a foreign or damaged file
            raise source.error(f"torch cannot open it ({error})", code="cannot-open", remedy=EXPORT_AGAIN) from None

    def load(self, file: io.BytesIO, device: str) -> nn.Module:
        """The module, on this device."""
        import torch

        module: nn.Module = torch.jit.load(file, map_location=device)  # type: ignore[no-untyped-call]
        return module.eval()


class TorchExport(TorchScript):
    """A zip whose weights are listed in JSON."""

    name, suffix, title = "pt2", ".pt2", "a torch.export archive"
    libraries: ClassVar[tuple[str, ...]] = (*TorchScript.libraries, "torch.export")

    def sniff(self, source: Source) -> bool:
        """A zip that says so, or one of an older torch with its model as JSON."""
        return "archive_format" in source.records or "models/model.json" in source.records

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """The weights and constants, which JSON documents list; older archives pickle them."""
        lists = sorted(name for name in source.records if name.startswith("data/") and name.endswith("_config.json"))
        if not any(name.endswith("weights_config.json") for name in lists):
            return super().tensors(source, manifest)
        tensors: list[Tensor] = []
        seen: set[object] = set()
        try:
            for name in lists:
                folder = name.rpartition("/")[0]
                for key, entry in json.loads(source.record(name))["config"].items():
                    if entry["tensor_meta"] is not None:  # a constant may be an object
                        tensors.append(_tensor(source, key, entry, f"{folder}/{entry['path_name']}", seen))
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
            raise source.error(f"its list of weights is damaged ({error!r})", remedy=EXPORT_AGAIN) from None
        return Listing(tensors)

    def load(self, file: io.BytesIO, device: str) -> nn.Module:
        """The program as a module, on this device."""
        import torch.export
        from torch.export.passes import move_to_device_pass

        program = torch.export.load(file)
        return (program if device == "cpu" else move_to_device_pass(program, device)).module()


def _tensor(source: Source, name: str, entry: dict[str, Any], record: str, seen: set[object]) -> Tensor:
    """One entry of a list of weights: a view of a record. `seen` has the records and views of earlier entries."""
    meta = entry["tensor_meta"]
    dtype = DTYPES.get(meta["dtype"])
    shape, strides = (tuple(int(side["as_int"]) for side in meta[key]) for key in ("sizes", "strides"))
    offset = int(meta["storage_offset"]["as_int"])
    width = None if dtype is None else width_of(dtype)
    view = (record, shape, strides, offset)
    readable = dtype is not None and not entry["use_pickle"]
    tensor = Tensor(
        name=name,
        shape=shape,
        dtype=dtype or f"torch.export's number {meta['dtype']}",
        codec="torch.export",
        bytes=0 if record in seen else source.records[record].compress_size,
        nonzero=_nonzero(source.record(record), str(dtype), shape, strides, offset) if readable else None,
        parameter=bool(entry["is_param"]) and view not in seen,
        bits=width,
        stored_bits=width,
    )
    seen |= {record, view}
    return tensor


def _nonzero(data: bytes, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> int | None:
    """Elements of a view that are not zero; None where it has more of them than are stored."""
    import torch

    if not data or 0 in shape:
        return 0
    stored = torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype))
    if math.prod(shape) > stored.numel():
        return None
    return int(stored.as_strided(shape, strides, offset).count_nonzero())


SCRIPT = TorchScript()
EXPORT = TorchExport()
