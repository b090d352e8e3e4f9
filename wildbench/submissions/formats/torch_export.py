"""Programs of torch.export, as `torch.export.save` writes them: zips with TorchScript's slot for a manifest."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any, ClassVar

from wildbench.submissions.formats._format import Listing, Port, Signature, Tensor, width_of
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

    def signature(self, source: Source) -> Signature | None:
        """Its inputs, and its outputs where they are not a dictionary; None where it takes a list of images."""
        return source.parsed(_signature)

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
        import torch.ao.quantization.fx._decomposed  # registers the operators of PT2E-quantized programs
        import torch.export
        from torch.export.passes import move_to_device_pass

        program = torch.export.load(file)
        return (program if device == "cpu" else move_to_device_pass(program, device)).module()


def _signature(source: Source) -> Signature | None:
    records = sorted(name for name in source.records if name.startswith("models/") and name.endswith(".json"))
    if not records:
        return None
    try:
        module = json.loads(source.record(records[0]))["graph_module"]
        calls = next(entry["signature"] for entry in module["module_call_graph"] if not entry["fqn"])
        takes, gives = (json.loads(calls[key])[1] for key in ("in_spec", "out_spec"))
        positional, named = takes["children_spec"]
        if any(argument["type"] for argument in positional["children_spec"]) or named["children_spec"]:
            return None
        values = module["graph"]["tensor_values"]
        specs = module["signature"]
        inputs = _names(specs["input_specs"], "user_input")
        outputs = _names(specs["output_specs"], "user_output")
        nested = any(child["type"] for child in gives["children_spec"])
        plain = not nested and gives["type"] in (None, "builtins.tuple", "builtins.list")
        names = ["output"] if len(outputs) == 1 else [f"output {at}" for at in range(len(outputs))]
        ports = [_port(name, values[value]) for name, value in zip(names, outputs, strict=True) if plain]
        return Signature(tuple(_port(name, values[name]) for name in inputs), tuple(ports))
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration, RecursionError) as error:
        raise source.error(f"its program is damaged ({error!r})", remedy=EXPORT_AGAIN) from None


def _names(specs: list[dict[str, Any]], kind: str) -> list[str]:
    return [spec[kind]["arg"]["as_tensor"]["name"] for spec in specs if kind in spec]


def _port(name: str, meta: dict[str, Any]) -> Port:
    return Port(name, tuple(side.get("as_int") for side in meta["sizes"]), DTYPES.get(meta["dtype"], "unknown"))


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
