"""TorchScript, as `torch.jit.save` writes it: a zip with code, which opening can run."""

from __future__ import annotations

import contextlib
import io
import pickletools
import zipfile
from itertools import islice, pairwise
from typing import TYPE_CHECKING, ClassVar

from wildbench.submissions.formats._format import Format, Listing
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    from torch import nn

    from wildbench.submissions.formats._torch_backend import TorchBackend

EXTRA_RECORD = "extra/manifest.json"
"""Where torch keeps the extra file "manifest.json"."""

DETECTORS = "__torch__.torchvision.models.detection."
MOST_OPCODES = 2**18

NOT_READ = "the file lists its tensors in a pickle, which is not read"


class TorchScript(Format):
    """A zip with code. Its tensors cannot be listed without unpickling."""

    name, suffix, title = "torchscript", ".pt", "TorchScript"
    other_suffixes: ClassVar[tuple[str, ...]] = (".torchscript", ".pth", ".ts")
    libraries: ClassVar[tuple[str, ...]] = ("torch", "wildbench.submissions.formats._torch_backend")
    counter = "wildbench.measures.compute:count_torch"

    def sniff(self, source: Source) -> bool:
        """A zip with constants and code."""
        return "constants.pkl" in source.records and any(name.startswith("code/") for name in source.records)

    def manifest(self, source: Source) -> bytes | None:
        """The extra file."""
        return source.record(EXTRA_RECORD) if EXTRA_RECORD in source.records else None

    def metadata(self, source: Source) -> dict[str, str]:
        """Its other extra files, such as Ultralytics' `config.txt`; of torchvision's detectors the classes."""
        names = [name for name in source.records if name.startswith("extra/") and name != EXTRA_RECORD]
        told = {name.partition("/")[2]: source.record(name).decode(errors="replace") for name in names}
        classes = _torchvision_classes(source)
        return told | ({"torchvision.classes": str(classes)} if classes else {})

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


def _torchvision_classes(source: Source) -> int | None:
    """Classes of the head of a scripted detector of torchvision, from its pickle, which is not executed."""
    if not any(name.startswith(f"code/{DETECTORS.replace('.', '/')}") for name in source.records):
        return None
    steps: list[object] = []
    with contextlib.suppress(Exception):  # damaged: genops raises errors of many kinds
        for opcode, argument, _ in islice(pickletools.genops(source.record("data.pkl")), MOST_OPCODES):
            if "PUT" not in opcode.name:
                steps.append(opcode.name if argument is None else argument)
    root = next((step for step in steps if isinstance(step, str) and step.startswith("__torch__.")), "")
    if not root.startswith(DETECTORS):  # another network around it may take and answer anything
        return None
    after = [following for step, following in pairwise(steps) if step in ("num_columns", "num_classes")]
    counts = [number for number in after if type(number) is int]  # of the heads of SSD, RetinaNet and FCOS
    with contextlib.suppress(ValueError):
        begin = steps.index("BINPERSID", steps.index("cls_score"))  # Faster R-CNN's weight: its offset and its sides
        counts += [number for number in steps[begin : begin + 6] if type(number) is int][1:2]
    return max(counts, default=None)


FORMAT = TorchScript()
