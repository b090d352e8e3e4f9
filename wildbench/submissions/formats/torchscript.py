"""TorchScript, as `torch.jit.save` writes it."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, ClassVar

from wildbench.errors import SubmissionError
from wildbench.submissions.contract import Manifest
from wildbench.submissions.formats._format import EXTRA_RECORD, Format, Listing, zip_parts
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    from wildbench.submissions.formats._torch_backend import TorchBackend

NOT_READ = "the file lists its tensors in a pickle, which is not read"


class TorchScript(Format):
    """A zip with code. Its tensors cannot be listed without unpickling."""

    name, suffix, title = "torchscript", ".pt", "TorchScript"
    libraries: ClassVar[tuple[str, ...]] = (
        "torch",
        "wildbench.submissions.formats._torchvision",
    )  # a scripted detector calls torchvision's operators
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
            raise SubmissionError(
                f"{source.path}: has a manifest inside already", code="has-manifest", remedy="export it again"
            )
        whole = io.BytesIO(source.data)
        with zipfile.ZipFile(whole, "a") as archive:
            root = archive.namelist()[0].partition("/")[0]
            archive.writestr(zipfile.ZipInfo(f"{root}/{EXTRA_RECORD}"), manifest.to_json())
        return whole.getvalue()

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """None, and the sizes of the zip's parts."""
        return Listing(None, zip_parts(source), reason=NOT_READ)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> TorchBackend:
        """Load it in torch, which may run code in it."""
        import torch
        import torchvision.ops  # noqa: F401 - registers the operators

        from wildbench.submissions.formats._torch_backend import TorchBackend, torch_device

        device = torch_device(device, threads)
        try:
            module: torch.nn.Module = torch.jit.load(io.BytesIO(source.data), map_location=device)  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise SubmissionError(
                f"{source.path}: torch cannot open it ({error})", code="cannot-open", remedy="export it again"
            ) from None
        return TorchBackend(module.eval(), device, manifest)


FORMAT = TorchScript()
