"""Three counters beside each other, operator by operator: ours, torch's FlopCounterMode and fvcore's FlopCountAnalysis.

They disagree by convention, not by accident. `KINDS` states the convention of each as a rule: so many FLOPs for each
MAC or for each element. A number that no rule gives is unexplained, whoever is wrong.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from wildbench.errors import needs
from wildbench.measures.compute import TOP, Call, record_macs

REASONS = {
    "multiply-add": "torch counts the multiplication and the addition of a MAC, 2 FLOPs; fvcore counts them as one",
    "no handle": "fvcore has no handle for fused attention, and gives it nothing",
    "norm": "fvcore gives each element of a batch norm 2 FLOPs, and of another norm 5; it multiplies no matrix",
    "interpolation": "fvcore gives each new element 4 FLOPs (bilinear) or 1 (nearest); it multiplies no matrix",
    "pooling": "fvcore gives each element that is averaged 1 FLOP; it multiplies no matrix",
    "script": "in a trace the pasting of masks is one call of a script, into which fvcore does not look",
}
"""The rules' names, and what each says."""


@dataclass(frozen=True)
class Kind:
    """What the counters call one kind of operation, and what each gives it.

    Attributes:
        ours: The dispatcher's names of it.
        fvcore: The tracer's names of it, without the namespace.
        torch_flops: FlopCounterMode's FLOPs a unit.
        fvcore_flops: fvcore's FLOPs a unit.
        unit: "MAC", "input element" or "output element".
        rules: Names in `REASONS` that explain why these are not our MACs.
        at_top: Whether it is run by the network itself (True), by one of its modules (False), or by any (None).
    """

    ours: tuple[str, ...]
    fvcore: tuple[str, ...]
    torch_flops: int
    fvcore_flops: int
    unit: str
    rules: tuple[str, ...]
    at_top: bool | None = None

    def units(self, calls: Sequence[Call]) -> int:
        """How many units these calls ran."""
        own = [call for call in calls if call.operator in self.ours and self.at_top in (None, call.place == TOP)]
        if self.unit == "MAC":
            return sum(call.macs or 0 for call in own)
        return sum(call.elements[self.unit == "output element"] for call in own)


def _product(ours: str, fvcore: str) -> Kind:
    return Kind(_aten(ours), tuple(fvcore.split()), 2, 1, "MAC", ("multiply-add",))


def _elementwise(ours: str, fvcore: str, flops: int, unit: str, rule: str, at_top: bool | None = None) -> Kind:
    return Kind(_aten(ours), (fvcore,), 0, flops, unit, (rule,), at_top)


def _aten(names: str) -> tuple[str, ...]:
    return tuple(f"aten::{name}" for name in names.split())


BATCH_NORMS = "native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm"
ATTENTION = """_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention
_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention"""
BILINEAR, NEAREST = "upsample_bilinear2d", "upsample_nearest2d"

KINDS: dict[str, Kind] = {
    "convolution": _product("convolution", "conv"),
    "matrix product": _product("mm addmm bmm baddbmm mv addmv dot", "linear addmm mm bmm matmul einsum"),
    "fused attention": Kind(_aten(ATTENTION), (), 2, 0, "MAC", ("multiply-add", "no handle")),
    "batch norm": _elementwise(BATCH_NORMS, "batch_norm", 2, "input element", "norm"),
    "group norm": _elementwise("native_group_norm", "group_norm", 5, "input element", "norm"),
    "layer norm": _elementwise("native_layer_norm", "layer_norm", 5, "input element", "norm"),
    "bilinear resize": _elementwise(BILINEAR, BILINEAR, 4, "output element", "interpolation", at_top=False),
    "mask pasting": _elementwise(BILINEAR, BILINEAR, 0, "output element", "script", at_top=True),
    "nearest resize": _elementwise(NEAREST, NEAREST, 1, "output element", "interpolation"),
    "average pool": _elementwise("mean _adaptive_avg_pool2d", "adaptive_avg_pool2d", 1, "input element", "pooling"),
}
"""Every kind of operation that any of the three counts. Norms are taken to have weights, as those of the zoo have."""


@dataclass(frozen=True)
class Row:
    """One kind of operation in one network, or in one module of it.

    Attributes:
        kind: Key of the kinds, or the name of an operator that none of them knows.
        module: Path, or "" for the whole network.
        macs: Ours.
        torch_flops: FlopCounterMode's.
        fvcore_flops: fvcore's.
        rules: That explain the differences; None where nothing explains them.
    """

    kind: str
    module: str
    macs: int
    torch_flops: int
    fvcore_flops: int
    rules: tuple[str, ...] | None


@dataclass(frozen=True)
class Audit:
    """What the three counters say of one network.

    Attributes:
        rows: Of the whole network, a row a kind.
        modules: How many rows of single modules were compared as well: of those that run an operator themselves.
        unexplained: Rows of the network and of its modules that no rule explains.
        uncounted: Operators that calculate and that none of the three counts, and how often they ran.
    """

    rows: list[Row]
    modules: int
    unexplained: list[Row]
    uncounted: dict[str, int]


def audit_counts(model: torch.nn.Module, inputs: tuple[Any, ...], kinds: Mapping[str, Kind] = KINDS) -> Audit:
    """Count one network with all three.

    Ours and FlopCounterMode watch the same pass. fvcore reads a trace, which other counters would disturb, of a second
    pass: on a CPU, in eval mode, it is the same pass again.

    Args:
        model: In eval mode.
        inputs: Its positional arguments.
        kinds: The conventions.

    Raises:
        MissingExtra: fvcore is not installed.
    """
    analysis = _fvcore(model, inputs)
    flops = FlopCounterMode(display=False)
    with torch.no_grad(), flops:
        count, calls = record_macs(lambda: model(*inputs), model)
    traced = analysis.by_module_and_operator()
    of_torch = {_path(name, model): _named(found) for name, found in flops.get_flop_counts().items()}
    of_fvcore = {name: {op: int(flop) for op, flop in found.items()} for name, found in traced.items()}
    rows = _rows("", calls, of_torch[""], of_fvcore[""], kinds)
    modules = [
        row
        for name in sorted({call.place for call in calls} - {TOP})
        for row in _rows(name, _within(name, calls), of_torch.get(name, {}), of_fvcore.get(name, {}), kinds)
    ]
    known = {operator for kind in kinds.values() for operator in kind.ours}
    return Audit(
        rows=rows,
        modules=len(modules),
        unexplained=[row for row in [*rows, *modules] if row.rules is None],
        uncounted={name: runs for name, runs in sorted(count.uncounted.items()) if name not in known},
    )


def _fvcore(model: torch.nn.Module, inputs: tuple[Any, ...]) -> Any:  # noqa: ANN401
    with needs("test"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fvcore.nn import FlopCountAnalysis
    analysis = FlopCountAnalysis(model, inputs).tracer_warnings("none")
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)


def _path(name: str, model: torch.nn.Module) -> str:
    """FlopCounterMode's "FCOS.head.conv" as "head.conv", and its "Global" as ""."""
    return "" if name == "Global" else name.removeprefix(type(model).__name__).removeprefix(".") or TOP


def _named(found: Mapping[Any, int]) -> dict[str, int]:
    return {str(operator).replace(".", "::", 1): int(flops) for operator, flops in found.items()}


def _within(module: str, calls: Sequence[Call]) -> list[Call]:
    """The calls of a module and of what is in it."""
    return [call for call in calls if call.place == module or call.place.startswith(f"{module}.")]


def _rows(
    module: str,
    calls: Sequence[Call],
    of_torch: Mapping[str, int],
    of_fvcore: Mapping[str, int],
    kinds: Mapping[str, Kind],
) -> list[Row]:
    """A row for each kind that anyone counted, and for each counted operator that no kind names."""
    rest_ours = Counter({call.operator: 0 for call in calls})
    for call in calls:
        rest_ours[call.operator] += call.macs or 0
    rest_torch, rest_fvcore = Counter(of_torch), Counter(of_fvcore)
    rows = []
    for name, kind in kinds.items():
        units = kind.units(calls)
        macs = _take(rest_ours, kind.ours)
        torch_flops, fvcore_flops = _take(rest_torch, kind.ours), _take(rest_fvcore, kind.fvcore)
        right = (torch_flops, fvcore_flops) == (kind.torch_flops * units, kind.fvcore_flops * units)
        if units or macs or torch_flops or fvcore_flops:
            rows.append(Row(name, module, macs, torch_flops, fvcore_flops, kind.rules if right else None))
    for name in sorted(operator for operator, macs in rest_ours.items() if macs):
        rows.append(Row(name, module, rest_ours[name], rest_torch.pop(name, 0), 0, None))
    rows += [Row(name, module, 0, flops, 0, None) for name, flops in sorted(rest_torch.items()) if flops]
    rows += [Row(name, module, 0, 0, flops, None) for name, flops in sorted(rest_fvcore.items()) if flops]
    return rows


def _take(counts: Counter[str], names: Sequence[str]) -> int:
    """Sum of these, which are then taken out."""
    return sum(counts.pop(name, 0) for name in names)
