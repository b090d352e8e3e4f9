"""ExecuTorch programs: read as a flatbuffer by its schema, `program.fbs`, and run by ExecuTorch on the CPU."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from wildbench.errors import needs
from wildbench.submissions.decode import Outputs
from wildbench.submissions.formats._format import Format, Inputs, Listing, Port, Signature, resolve_device
from wildbench.submissions.graphs import Table
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    from executorch.runtime import Method

READS = "program that ExecuTorch reads", "not-executorch"

METHOD = "forward"
"""What a program runs for an image."""

TYPES = dict(enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"))) | {11: "bool"}
"""Scalar types, by their numbers in the schema."""

TENSOR = 5
"""Number of a tensor among the kinds of values."""

KERNEL, DELEGATE = 1, 2
"""Numbers of calls among the kinds of instructions."""


class ExecuTorch(Format):
    """A program in one file, lowered for XNNPACK, for portable kernels, or for another delegate that is here."""

    name, suffix, title = "executorch", ".pte", "an ExecuTorch program"
    runs_code = False
    extra = "executorch"
    libraries = ("torch", "executorch.runtime")

    def sniff(self, source: Source) -> bool:
        """By the identifier of the schema."""
        return source.data[4:6] == b"ET" and source.data[6:8].isdigit()

    def signature(self, source: Source) -> Signature:
        """Inputs and outputs by their positions; of a dynamic shape, height and width are free."""
        with source.reading(*READS):
            plan = source.parsed(_plan)
            values = plan.tables(2)
            inputs, outputs = (
                [_port(f"{kind}{at}", values[place]) for at, place in enumerate(plan.numbers(field, "<i4").tolist())]
                for kind, field in (("input", 3), ("output", 4))
            )
        return Signature(tuple(inputs), tuple(outputs))

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """None: a delegate packs weights for itself."""
        return Listing(None, reason="delegates of an ExecuTorch program pack its weights in forms of their own")

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> ExecuTorchBackend:
        """Load the method; refused where a delegate is missing, for nothing else runs its part."""
        with needs("executorch"):
            from executorch.extension.pybindings import portable_lib
            from executorch.runtime import Runtime

        resolve_device(device, "ExecuTorch", lambda _: False)
        if threads is not None:
            portable_lib._unsafe_reset_threadpool(threads)
        with source.reading(*READS):
            work = _work(source.parsed(_plan))
        runtime = Runtime.get()
        missing = [name for name in work if name and not runtime.backend_registry.is_available(name)]
        if missing:
            problem = f"lowered for {missing[0]}, which is not in this ExecuTorch"
            remedy = "lower it for XNNPACK: partitioner=[XnnpackPartitioner()]"
            raise source.error(problem, code="no-delegate", remedy=remedy)
        try:
            method = runtime.load_program(source.data).load_method(METHOD)
        except RuntimeError as error:
            raise source.error(f"ExecuTorch refuses it ({error})", code="cannot-open", remedy=EXPORT_AGAIN) from None
        if method is None:
            raise source.error(f"it has no method {METHOD!r}", code="cannot-open", remedy=EXPORT_AGAIN)
        return ExecuTorchBackend(source.data, method, work, len(self.signature(source).outputs))


class ExecuTorchBackend:
    """A loaded method, on the CPU."""

    device = "cpu"

    def __init__(self, program: bytes, method: Method, work: Counter[str], outputs: int) -> None:
        self._program = program  # the method reads its constants there, and does not keep them alive
        self.method, self._work, self._count = method, work, outputs

    def run(self, inputs: Inputs) -> Outputs:
        """One pass; outputs are copied, because the next pass writes over them."""
        import torch

        answer = self.method.execute([torch.from_numpy(np.ascontiguousarray(values)) for values in inputs.values()])
        return {f"output{at}": value.numpy().copy() for at, value in enumerate(answer[: self._count])}

    def facts(self) -> dict[str, Any]:
        """What runs: calls of each delegate, and of ExecuTorch's own kernels."""
        from importlib.metadata import version

        provider = ", ".join(f"{name or 'own kernels'}: {calls} calls" for name, calls in self._work.items())
        told = {"runtime": f"ExecuTorch {version('executorch')}", "provider": provider}
        return {"device": "cpu", "peak_memory": None} | told


def _plan(source: Source) -> Table:
    plans = {plan.text(0): plan for plan in Table.root(source.data).tables(1)}
    return plans[METHOD]


def _port(name: str, value: Table) -> Port:
    if value.number(0, "<B") != TENSOR:
        raise ValueError(f"{name} is not a tensor")
    tensor = value.child(1)
    shape: tuple[int | None, ...] = tuple(tensor.numbers(2, "<i4").tolist())
    if tensor.number(8, "<b") and len(shape) == 4:
        shape = (*shape[:2], None, None)
    return Port(name, shape, TYPES.get(tensor.number(0, "<b"), "unknown"))


def _work(plan: Table) -> Counter[str]:
    """How many instructions call each delegate; "" for kernels of ExecuTorch."""
    names = [delegate.text(0) for delegate in plan.tables(7)]
    calls: Counter[str] = Counter()
    for instruction in (one for chain in plan.tables(5) for one in chain.tables(2)):
        kind = instruction.number(0, "<B")
        if kind in (KERNEL, DELEGATE):
            calls[names[instruction.child(1).number(0)] if kind == DELEGATE else ""] += 1
    return calls


FORMAT = ExecuTorch()
