"""Programs of torch.export, as `torch.export.save` writes them: zips with TorchScript's slot for a manifest."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

from wildbench.submissions.formats._format import Listing, Tensor, width_of
from wildbench.submissions.formats.torchscript import TorchScript
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    from torch import nn

NUMBERS = ("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
DTYPES = {**dict(enumerate(NUMBERS, 1)), 12: "bool", 13: "bfloat16"}
"""`torch._export.serde.schema.ScalarType`, by number."""


class TorchExport(TorchScript):
    """A zip whose weights are listed in JSON."""

    name, suffix, title = "pt2", ".pt2", "a torch.export archive"
    other_suffixes = ()
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


FORMAT = TorchExport()
