"""wildbench's own format: a `torch.save` archive of plain data, from which a detector of the zoo is rebuilt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from wildbench.submissions.archive import read_content
from wildbench.submissions.formats._format import Format, Listing, Rounding, Tensor
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    from wildbench.submissions.formats._torch_backend import TorchBackend

PICKLES = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))


class SubmissionPt(Format):
    """What `wildbench.save_submission` writes, and whatever else `torch.save` wrote, to say what is wrong with it."""

    name, suffix, title = "wildbench", ".pt", "a torch.save archive"
    runs_code = False
    libraries: ClassVar[tuple[str, ...]] = ("torch", "wildbench.submissions.formats._torch_backend")
    counter = "wildbench.measures.compute:count_torch"

    def sniff(self, source: Source) -> bool:
        """A zip with a pickle and no code, or a bare pickle, as torch.save wrote before 1.6."""
        plain = "data.pkl" in source.records and not {"constants.pkl", "archive_format"} & source.records.keys()
        return plain or (source.suffix == self.suffix and source.data.startswith(PICKLES))

    def manifest(self, source: Source) -> dict[str, Any]:
        """Its plain data."""
        return source.parsed(read_content).manifest

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """Refuse: it has one."""
        raise source.error("a submission.pt has its manifest already", code="has-manifest", remedy="save it again")

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """Decode the tensors, and measure each."""
        import wildbench.submissions.formats._torch_backend  # noqa: F401 - before the zoo imports torchvision, slowly
        from wildbench.submissions import codecs
        from wildbench.submissions.archive import plan, read_submission
        from wildbench.submissions.codecs import tensors_in

        archive = read_submission(source)
        parameters = plan(manifest, str(source.path)).parameters
        tensors = []
        for name, values in archive.tensors.items():
            record, where, size = archive.records[name], f"{source.path}: {name}", archive.sizes[name]
            own = size / max(1, sum(part.nbytes for part in tensors_in(record)))  # not stored for an earlier tensor
            tensors.append(
                Tensor(
                    name=name,
                    shape=tuple(values.shape),
                    dtype=str(values.dtype).removeprefix("torch."),
                    codec=codecs.chain_of(record, where),
                    bytes=size,
                    nonzero=int(values.count_nonzero()),
                    parameter=name in parameters,
                    bits=codecs.weight_bits(record, where),
                    stored_bits=codecs.stored_bits(record, where),
                    extra_bits=8 * codecs.table_bytes(record),
                    entropy_bytes=min(1.0, own) * codecs.entropy_bytes(record, where),
                )
            )
        rounded = {
            name: Rounding(*(None if grid is None else grid.bits for grid in (grids.input, grids.output)))
            for name, grids in archive.activations.items()
        }
        bits = {f"{name}.weight": one.input for name, one in rounded.items() if one.input}
        return Listing(tensors, archive.overhead, rounded, activation_bits=bits if rounded else None)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> TorchBackend:
        """Rebuild the detector by the name in its manifest."""
        from wildbench.submissions.archive import read_submission, rebuild
        from wildbench.submissions.formats._torch_backend import TorchBackend, torch_device

        device = torch_device(device, threads)
        return TorchBackend(rebuild(read_submission(source), str(source.path)).to(device), device, manifest)


FORMAT = SubmissionPt()
