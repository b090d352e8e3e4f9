"""How many multiply-accumulates each operator of torch takes: a rule for each way to convolve or to multiply matrices.

Rules are torch's own FLOP formulas (`torch.utils.flop_counter`, 2 FLOPs a MAC) where those exist, and closed forms of
the same convention elsewhere. An operator outside `RULES` has no rule: a counter reports it, it is not silently zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision  # noqa: F401  (defines torch.ops.torchvision)
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from wildbench.measures.compute._count import convolution_macs, product_macs

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
