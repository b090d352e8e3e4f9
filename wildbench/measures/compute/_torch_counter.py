"""Counting the multiply-accumulates of a torch model while it runs, and naming what was not counted.

A dispatch mode sees every operator that runs: in eager modules, in TorchScript's interpreter and in exported programs.
Convolutions and matrix products have rules (`mac_rules`); any other operator that calculates is reported as uncounted
with how often it ran, as `fvcore.nn.jit_analysis` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch._ops import OpOverload
from torch.jit._fuser import optimized_execution
from torch.utils._python_dispatch import TorchDispatchMode

from wildbench.measures.compute._count import NO_NAME, Count
from wildbench.measures.compute._torch_rules import BIASED, MOVES, RULES, WEIGHTED, vision

TOP = "(top)"
"""Module path of what no submodule runs."""

REGION_POOLS = (vision.roi_align, vision.roi_pool, vision.ps_roi_align, vision.ps_roi_pool)

UNSEEN = ("prim::mkldnn_convolution", "prim::MKLDNNGroup", "prim::TensorExprGroup", "prim::StaticSubgraph")
"""TorchScript nodes that calculate without the dispatcher, so that no counter sees them."""


@dataclass(frozen=True)
class Call:
    """One run of an operator that calculates.

    Attributes:
        operator: As the dispatcher names it: "aten::convolution".
        place: Path of the innermost running module.
        macs: What a rule gives it; None without a rule.
        elements: Of its first argument, and of its result; 0 where that is no tensor.
    """

    operator: str
    place: str
    macs: int | None
    elements: tuple[int, int]


def count_macs(forward: Callable[[], Any], module: torch.nn.Module | None = None) -> Count:
    """Run `forward` once and count.

    Args:
        forward: The pass, as a call without arguments.
        module: The model it runs, to tell its parts from each other.

    Returns:
        What was counted; `unseen` tells of TorchScript that was rewritten to nodes that bypass the dispatcher.

    Example:
        >>> layer = torch.nn.Conv2d(3, 16, 3)
        >>> count = count_macs(lambda: layer(torch.zeros(1, 3, 8, 8)), layer)
        >>> count.macs, count.uncounted
        (15552, {})
    """
    if isinstance(module, torch.jit.ScriptModule):
        for kind in UNSEEN:
            if _has(module, kind):
                return Count(unseen=f"its TorchScript runs {kind}, which bypasses the operators that can be counted")
    return record_macs(forward, module)[0]


def record_macs(forward: Callable[[], Any], module: torch.nn.Module | None) -> tuple[Count, list[Call]]:
    """Run `forward` once; give the count, and every operator of it that calculates, in order.

    Args:
        forward: The pass, as a call without arguments.
        module: The model it runs.
    """
    counter = _Counter(module)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(optimized_execution(False))  # no fused kernels, which nothing sees
        stack.enter_context(_slow_attention())
        stack.enter_context(counter.following(module))
        stack.enter_context(counter)
        forward()
    return counter.count, counter.calls


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Applies the rules to each operator that passes the dispatcher."""

    def __init__(self, module: torch.nn.Module | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = Count()
        self.calls: list[Call] = []
        self.path = [TOP]
        self.names = {} if module is None else _names(module)

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        rule = RULES.get(packet)
        if rule is None and _is_composite(func):
            with self:  # under inference mode a composite operator arrives whole
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        name = func._schema.name
        if rule is not None:
            self._note(name, args, out, rule(args, out), self._weight(packet, args))
        elif not func.is_view and name not in MOVES:
            self._note(name, args, out)
        if packet in REGION_POOLS:
            self.count.pool(args[1].shape[0])
        return out

    def _note(
        self, name: str, args: tuple[Any, ...], out: object, macs: int | None = None, weight: str | None = None
    ) -> None:
        place = self._place(args)
        if macs is None:
            self.count.skip(name)
        else:
            self.count.spend(place, macs, weight)
        self.calls.append(Call(name, place, macs, (_elements(args), _elements(out))))

    def _place(self, args: tuple[Any, ...]) -> str:
        """The innermost running module; where a graph runs in one call, the module that owns the weight."""
        if self.path[-1] != TOP:
            return self.path[-1]
        return next((name.rpartition(".")[0] or TOP for name in self._known(args)), TOP)

    def _weight(self, packet: object, args: tuple[Any, ...]) -> str | None:
        """The stored tensor that an operator multiplies with, the right factor before the left one."""
        factors = args[1:3] if packet in BIASED else args[:2]
        known = list(self._known(factors))
        return known[-1] if known else NO_NAME if packet in WEIGHTED else None

    def _known(self, args: tuple[Any, ...]) -> Iterator[str]:
        """Names of those arguments that are stored tensors of the module, or views of one."""
        return (self.names[key] for t in args if isinstance(t, torch.Tensor) and (key := _storage(t)) in self.names)

    @contextmanager
    def following(self, module: torch.nn.Module | None) -> Iterator[None]:
        """Keep the path of the running module by hooks."""
        with ExitStack() as stack:
            for name, part in module.named_modules() if module is not None else ():
                if name and not isinstance(part, torch.jit.ScriptModule):
                    enter = part.register_forward_pre_hook(lambda *_, name=name: self.path.append(name))
                    leave = part.register_forward_hook(lambda *_: self._leave(), always_call=True)
                    stack.callback(enter.remove)
                    stack.callback(leave.remove)
            yield

    def _leave(self) -> None:
        self.path.pop()


def _is_composite(func: OpOverload) -> bool:
    name = func.name()  # type: ignore[no-untyped-call]
    return torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else 0


def _elements(found: object) -> int:
    first = found[0] if isinstance(found, (tuple, list)) and found else found
    return first.numel() if isinstance(first, torch.Tensor) else 0


def _names(module: torch.nn.Module) -> dict[int, str]:
    """Name in the state dict by the storage of each parameter and buffer."""
    return {_storage(tensor): name for name, tensor in [*module.named_buffers(), *module.named_parameters()]}


@contextmanager
def _slow_attention() -> Iterator[None]:
    """Run transformer layers operator by operator: their fast path is one operator that hides its matrix products."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _has(module: torch.jit.ScriptModule, kind: str) -> bool:
    graph: Any = module.inlined_graph
    return bool(graph.findAllNodes(kind, recurse=True))
