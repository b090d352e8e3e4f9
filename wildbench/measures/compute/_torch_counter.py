"""Counting the multiply-accumulates of a torch model while it runs, and naming what was not counted.

A dispatch mode sees every operator that runs: in eager modules, in TorchScript's interpreter and in exported programs.
Convolutions and matrix products have rules: torch's own FLOP formulas (`torch.utils.flop_counter`, 2 FLOPs a MAC) where
those exist, and closed forms of the same convention elsewhere. Any other operator that calculates is reported as
uncounted with how often it ran, as `fvcore.nn.jit_analysis` does; it is not silently zero.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torchvision  # noqa: F401  (defines torch.ops.torchvision)
from torch._ops import OpOverload
from torch.jit._fuser import optimized_execution
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from wildbench.measures.compute._count import NO_NAME, Count, convolution_macs, product_macs

aten = torch.ops.aten
quantized = torch.ops.quantized
vision = torch.ops.torchvision

Rule = Callable[[Sequence[Any], Any], int]
"""Takes an operator's arguments and its result; gives MACs."""


def _by_torch(name: str) -> Rule:
    formula = flop_registry[getattr(aten, name)]
    return lambda args, out: int(formula(*args, out_val=out)) // 2


def _convolution(args: Sequence[Any], out: torch.Tensor) -> int:
    return convolution_macs(args[0].shape, args[1].shape, out.shape)


def _quantized_convolution(args: Sequence[Any], out: torch.Tensor) -> int:
    return convolution_macs(args[0].shape, args[1].weight().shape, out.shape)


def _product(args: Sequence[Any], out: torch.Tensor) -> int:
    return product_macs(args[0].shape, out.shape)


def _attention(args: Sequence[Any], out: Any) -> int:  # noqa: ANN401 - a rule's signature
    flops = sdpa_flop_count(args[0].shape, args[1].shape, args[2].shape)  # type: ignore[no-untyped-call]
    return int(flops) // 2


BY_TORCH = (
    "mm", "addmm", "bmm", "baddbmm", "_scaled_mm", "convolution", "_convolution",
    "_scaled_dot_product_efficient_attention", "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_cudnn_attention",
    "_flash_attention_forward", "_efficient_attention_forward",
)  # fmt: skip

RULES: dict[Any, Rule] = {
    **{getattr(aten, name): _by_torch(name) for name in BY_TORCH},
    **{op: _product for op in (aten.mv, aten.dot, aten._int_mm)},
    aten.addmv: lambda args, out: product_macs(args[1].shape, out.shape),
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,  # torch's own formula for it is newer than 2.11
    aten.cudnn_convolution: _convolution,
    aten.cudnn_convolution_relu: _convolution,
    aten.cudnn_convolution_add_relu: _convolution,
    aten.mkldnn_convolution: _convolution,
    vision.deform_conv2d: _convolution,  # sampling its input is interpolation, which is never counted
    **{getattr(quantized, f"conv{d}d{end}"): _quantized_convolution for d in (1, 2, 3) for end in ("", "_relu")},
    **{getattr(quantized, f"linear{end}"): _product for end in ("", "_relu", "_dynamic", "_relu_dynamic")},
}

WEIGHTED = frozenset(op for op in RULES if "conv" in str(op) or str(op).startswith("quantized."))
"""Operators that always multiply with a weight; the others may multiply two activations."""

BIASED = frozenset((aten.addmm, aten.addmv, aten.baddbmm))
"""Those whose first argument is added."""

_MOVES = """
_local_scalar_dense _reshape_copy _to_copy _to_dense _unsafe_index _unsafe_view alias arange argsort cat clone
constant_pad_nd contiguous copy_ detach detach_ empty empty_like empty_strided equal eye fill_ full full_like gather
index index_fill_ index_put index_put_ index_select lift_fresh lift_fresh_copy linspace masked_fill masked_fill_
masked_select new_empty new_empty_strided new_full new_ones new_zeros nonzero ones ones_like reflection_pad2d repeat
replication_pad2d resize_ roll scalar_tensor scatter scatter_ select_scatter slice_scatter split_with_sizes stack
to_mkldnn topk sort tril triu unbind where zero_ zeros zeros_like
"""
MOVES = frozenset(f"aten::{name}" for name in _MOVES.split())
"""Operators that allocate, copy, choose or order values and calculate none; views are known by themselves."""

UNKNOWN = re.compile(
    r"(?!.*(upsample|reorder|flatten|vector_norm|linalg_cross|linalg_diagonal))"
    r".*(mm(_|$)|gemm|matmul|linear|conv(?!ert)|attention|rnn|lstm|gru|_fft|linalg|dot$|cdist|(^|:|_)addr|int4pack)"
)
"""Names of operators that multiply; which of them has no rule is not counted."""

KNOWN = ("aten", "torchvision", "quantized", "prim", "prims", "profiler", "inductor", "higher_order")
"""Namespaces of operators of which it is known whether they multiply."""

TOP = "(top)"
"""Module path of what no submodule runs."""

REGION_POOLS = (vision.roi_align, vision.roi_pool, vision.ps_roi_align, vision.ps_roi_pool)

UNSEEN = ("prim::mkldnn_convolution", "prim::MKLDNNGroup", "prim::TensorExprGroup", "prim::StaticSubgraph")
"""TorchScript nodes that calculate without the dispatcher, so that no counter sees them."""


@dataclass(frozen=True)
class Call:
    """One run of an operator that calculates."""

    operator: str
    """As the dispatcher names it: "aten::convolution"."""
    place: str
    """Path of the innermost running module."""
    macs: int | None
    """None without a rule."""
    elements: tuple[int, int]
    """Of its first argument, and of its result; 0 where that is no tensor."""


def count_macs(forward: Callable[[], Any], module: torch.nn.Module | None = None) -> Count:
    """Run `forward` once and count, by the parts of the module that it runs.

    TorchScript that was rewritten to nodes that bypass the dispatcher is not counted: `unseen` says so.

    Example:
        >>> layer = torch.nn.Conv2d(3, 16, 3)
        >>> count = count_macs(lambda: layer(torch.zeros(1, 3, 8, 8)), layer)
        >>> count.macs, count.uncounted
        (15552, {})
    """
    if isinstance(module, torch.jit.ScriptModule):
        graph: Any = module.inlined_graph
        for kind in UNSEEN:
            if graph.findAllNodes(kind, recurse=True):
                return Count(unseen=f"its TorchScript runs {kind}, which bypasses the operators that can be counted")
    return record_macs(forward, module)[0]


def record_macs(forward: Callable[[], Any], module: torch.nn.Module | None) -> tuple[Count, list[Call]]:
    """Run `forward` once; return the count, and every operator of it that calculates, in order."""
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

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to be skipped by torch's compiler, which nothing here uses, it would be imported first, in over 1 s."""
        return False

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
            unknown = UNKNOWN.match(name) or name.partition("::")[0] not in KNOWN
            (self.count.miss if unknown else self.count.skip)(name)
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
