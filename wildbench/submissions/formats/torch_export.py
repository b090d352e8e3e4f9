"""Programs of torch.export, as `torch.export.save` writes them to a `.pt2`."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

from wildbench.errors import SubmissionError
from wildbench.submissions.contract import Manifest
from wildbench.submissions.formats._format import Listing, Tensor, width_of, zip_parts
from wildbench.submissions.formats.torchscript import NOT_READ, TorchScript
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    from wildbench.submissions.formats._torch_backend import TorchBackend

DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
"""`torch._export.serde.schema.ScalarType`, by number."""


class TorchExport(TorchScript):
    """A zip as TorchScript's, with the same slot for a manifest, whose weights are listed in JSON."""

    name, suffix, title = "pt2", ".pt2", "a torch.export archive"
    libraries: ClassVar[tuple[str, ...]] = ("torch", "wildbench.submissions.formats._torchvision", "torch.export")

    def sniff(self, source: Source) -> bool:
        """A zip that says so, or one of an older torch with its model as JSON."""
        return "archive_format" in source.records or "models/model.json" in source.records

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """The weights and constants, which JSON documents list; older archives pickle them."""
        records = source.records
        lists = sorted(name for name in records if name.startswith("data/") and name.endswith("_config.json"))
        if not any(name.endswith("weights_config.json") for name in lists):
            return Listing(None, zip_parts(source), reason=NOT_READ)
        tensors: list[Tensor] = []
        seen: set[object] = set()
        try:
            for name in lists:
                folder = name.rpartition("/")[0]
                for key, entry in json.loads(source.record(name))["config"].items():
                    if entry["tensor_meta"] is not None:  # a constant may be an object
                        tensors.append(_tensor(source, key, entry, f"{folder}/{entry['path_name']}", seen))
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, RecursionError) as error:
            raise SubmissionError(
                f"{source.path}: its list of weights is damaged ({error!r})", code="damaged", remedy="export it again"
            ) from None
        return Listing(tensors)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> TorchBackend:
        """Load it in torch, which may run code in it."""
        import torch.export
        import torchvision.ops  # noqa: F401 - registers the operators
        from torch.export.passes import move_to_device_pass

        from wildbench.submissions.formats._torch_backend import TorchBackend, torch_device

        device = torch_device(device, threads)
        try:
            program = torch.export.load(io.BytesIO(source.data))
            module = (program if device == "cpu" else move_to_device_pass(program, device)).module()
        except Exception as error:  # torch.export raises errors of many kinds for a foreign or damaged file
            raise SubmissionError(
                f"{source.path}: torch cannot open it ({error})", code="cannot-open", remedy="export it again"
            ) from None
        return TorchBackend(module, device, manifest)


def _tensor(source: Source, name: str, entry: dict[str, Any], record: str, seen: set[object]) -> Tensor:
    """One entry of a list of weights: a view of a record, which several may share.

    Args:
        source: The archive.
        name: Of the tensor.
        entry: As torch.export writes it.
        record: Name of the record that holds the values.
        seen: Records and views of earlier entries; this one's are added.
    """
    meta = entry["tensor_meta"]
    dtype = DTYPES.get(meta["dtype"])
    shape, strides = (tuple(int(side["as_int"]) for side in meta[key]) for key in ("sizes", "strides"))
    offset = int(meta["storage_offset"]["as_int"])
    width = None if dtype is None else width_of(dtype)
    view = (record, shape, strides, offset)
    tensor = Tensor(
        name=name,
        shape=shape,
        dtype=dtype or f"torch.export's number {meta['dtype']}",
        codec="torch.export",
        bytes=0 if record in seen else source.records[record].compress_size,
        nonzero=None
        if dtype is None or entry["use_pickle"]
        else _nonzero(source.record(record), dtype, shape, strides, offset),
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
