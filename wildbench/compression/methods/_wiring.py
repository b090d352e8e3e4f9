"""Which norm follows which layer, and which results only enter other layers, observed on one image.

Detectors branch on values, so their graph cannot be traced; this watches the operators as they run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wildbench.submissions.archive import LAYERS, NORMS

aten = torch.ops.aten

RECTIFIERS = {aten.relu, aten.relu_, aten.hardtanh, aten.hardtanh_}
"""ReLU and ReLU6: an unsigned grid does them by its range."""


@dataclass
class Wiring:
    """What follows what.

    Attributes:
        norms: By layer, the batch norms of its result; one in all detectors of the zoo.
        enters: By layer, the layers that its result enters, after its norm and a ReLU.
        leaves: Layers whose result enters any other operator.
    """

    norms: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    enters: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    leaves: set[str] = field(default_factory=set)

    def folding(self) -> dict[str, str]:
        """Layers with the one norm that follows each and no other."""
        every = [norm for norms in self.norms.values() for norm in norms]
        pairs = {layer: next(iter(norms)) for layer, norms in self.norms.items() if len(norms) == 1}
        return {layer: norm for layer, norm in pairs.items() if every.count(norm) == 1}


def watch(model: nn.Module, image: Tensor) -> Wiring:
    """Run a detector in eval mode once, on an image `[3, H, W]` from 0 to 1, and note what follows what."""
    watcher = _Watcher()
    with torch.no_grad(), watcher.following(model), watcher:
        model([image])
    return watcher.wiring


class _Watcher(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows each layer's result through the operators, by its storage."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.wiring = Wiring()
        self._makers: dict[int, str] = {}
        self._inside = 0

    def __torch_dispatch__(
        self, func: OpOverload, types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> object:
        out = func(*args, **(kwargs or {}))
        packet = func.overloadpacket
        rectifies = packet in RECTIFIERS and (packet in (aten.relu, aten.relu_) or args[1] == 0)
        met = {maker for tensor in _tensors((args, kwargs)) if (maker := self._makers.get(_key(tensor)))}
        if not self._inside and not rectifies:
            self.wiring.leaves |= met
        for tensor in _tensors(out):
            self._makers.pop(_key(tensor), None)
            if rectifies and met:
                self._makers[_key(tensor)] = next(iter(met))
        return out

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """Hooks on layers and norms while the block runs."""
        with ExitStack() as stack:
            for name, module in model.named_modules():
                if isinstance(module, (*LAYERS, *NORMS)):
                    is_norm = isinstance(module, NORMS)
                    enter, leave = partial(self._enter, name, is_norm), partial(self._leave, name, is_norm)
                    stack.callback(module.register_forward_pre_hook(enter).remove)
                    stack.callback(module.register_forward_hook(leave).remove)
            yield

    def _enter(self, name: str, is_norm: bool, module: nn.Module, args: tuple[Tensor, ...]) -> None:
        self._inside += 1
        self._of_norm = self._makers.get(_key(args[0]))
        if self._of_norm is not None:
            (self.wiring.norms if is_norm else self.wiring.enters)[self._of_norm].add(name)

    def _leave(self, name: str, is_norm: bool, module: nn.Module, args: object, result: Tensor) -> None:
        self._inside -= 1
        maker = self._of_norm if is_norm else name
        if maker is not None:
            self._makers[_key(result)] = maker


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


@torch.no_grad()
def fold_norms(model: nn.Module, wiring: Wiring) -> dict[str, str]:
    """Fold every batch norm that follows a layer, in place (Jacob et al., CVPR 2018); the norm of each such layer.

    The norm's scale goes into the layer's weights and bias. The norm keeps a shift alone: weight 1, mean 0, a variance
    that sums to 1 with epsilon, and its bias. The results of a model in eval mode stay the same up to float32 rounding.
    """
    pairs = wiring.folding()
    for layer_name, norm_name in pairs.items():
        layer: Any = model.get_submodule(layer_name)
        norm: Any = model.get_submodule(norm_name)
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        shift = norm.bias.double() - norm.running_mean.double() * scale
        sides = [-1 if side == channel_axis(layer) else 1 for side in range(layer.weight.dim())]
        layer.weight.copy_(layer.weight.double() * scale.reshape(sides))
        if layer.bias is not None:
            layer.bias.copy_(layer.bias.double() * scale)
        norm.weight.fill_(1.0)
        norm.bias.copy_(shift)
        norm.running_mean.fill_(0.0)
        norm.running_var.fill_(1.0 - norm.eps)
    return pairs


def channel_axis(layer: nn.Module) -> int:
    """The axis of a layer's weight that counts its output channels."""
    return 1 if isinstance(layer, nn.ConvTranspose2d) else 0
