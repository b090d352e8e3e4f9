"""torchvision's detectors as state dicts: what `torch.save(model.state_dict(), path)` writes, and checkpoints of it.

Which detector it is, and for how many categories, stands in the names and shapes of its tensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from wildbench.submissions.archive import Stored, read_plain, read_stored
from wildbench.submissions.formats._format import Format, Listing, Tensor, width_of
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    import torch
    from torch import nn

    from wildbench.submissions.formats._torch_backend import TorchBackend

PLACES = ("model", "state_dict", "model_state_dict", "model_ema")
"""Keys under which training scripts keep the state dict."""

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")

ROI, HEAD = "roi_heads.box_predictor.cls_score.weight", "head.classification_head"
RESNET = ("backbone.body.layer1.0.conv3.weight", "backbone.body.layer3.5.conv3.weight")
DEEPER = "backbone.body.layer3.6.conv3.weight"
MOBILE = ("mobilenet_v3_large_fpn", "mobilenet_v3_large_320_fpn")
"""Backbones with the same tensors, for images of 800 and of 320 pixels."""


@dataclass(frozen=True)
class Weights:
    """A state dict of one of torchvision's detectors.

    Attributes:
        detectors: Names that torchvision has for detectors with these tensors; more than one where they differ only in
            the size of their images.
        classes: Of its head, the background included.
        tensors: By name, as they are stored.
        masks: Masks of `torch.nn.utils.prune`, by the name of the tensor that they are multiplied with.
    """

    detectors: tuple[str, ...]
    classes: int
    tensors: Mapping[str, Stored]
    masks: Mapping[str, Stored] = field(default_factory=dict)

    def detector(self, source: Source, manifest: Manifest | None = None) -> str | None:
        """The one that the manifest or the file's name says, where there are several; None where neither does."""
        stated = manifest.detector.name if manifest else ""
        named = [name for name in self.detectors if name == stated or name in source.path.name or name in source.main]
        return named[0] if named else self.detectors[0] if len(self.detectors) == 1 else None


def read_weights(source: Source) -> Weights | None:
    """The state dict in a file, without torch; None where it is not of one of torchvision's detectors.

    Raises:
        SubmissionError: The file is damaged.
    """
    if "data.pkl" not in source.records or {"constants.pkl", "archive_format"} & source.records.keys():
        return None
    if b"wildbench-submission" in source.record("data.pkl"):
        return None
    content = read_plain(source)
    if not isinstance(content, dict):
        return None
    inner = [content[key] for key in PLACES if isinstance(content.get(key), dict)]
    for state in (content, *inner):
        tensors = {str(name).removeprefix("module."): value for name, value in state.items()}
        tensors = {name: value for name, value in tensors.items() if isinstance(value, Stored)}
        masks = {name.removesuffix("_mask"): value for name, value in tensors.items() if name.endswith("_mask")}
        masks = {name: mask for name, mask in masks.items() if f"{name}_orig" in tensors}
        kept = {name: value for name, value in tensors.items() if not name.endswith("_mask") or name[:-5] not in masks}
        whole = {_unmasked(name, masks): value for name, value in kept.items()}
        known = _architecture({name: value.shape for name, value in whole.items()})
        if known:
            return Weights(*known, whole, masks)
    return None


def _unmasked(name: str, masks: Mapping[str, Stored]) -> str:
    plain = name.removesuffix("_orig")
    return plain if plain in masks else name


def _architecture(shapes: Mapping[str, tuple[int, ...]]) -> tuple[tuple[str, ...], int] | None:
    """Names that torchvision has for the detector with these tensors, and the classes of its head."""
    resnet = all(name in shapes for name in RESNET) and DEEPER not in shapes
    if ROI in shapes:
        if "roi_heads.keypoint_predictor.kps_score_lowres.weight" in shapes:
            return None
        family = "maskrcnn" if "roi_heads.mask_predictor.mask_fcn_logits.weight" in shapes else "fasterrcnn"
        second = "_v2" if "rpn.head.conv.1.0.weight" in shapes else ""
        mobile = MOBILE if family == "fasterrcnn" and "backbone.body.16.1.weight" in shapes else ()
        backbones = (f"resnet50_fpn{second}",) if resnet else mobile
        return (tuple(f"{family}_{name}" for name in backbones), shapes[ROI][0]) if backbones else None
    logits, ssd = shapes.get(f"{HEAD}.cls_logits.weight"), shapes.get(f"{HEAD}.module_list.0.weight")
    lite = shapes.get(f"{HEAD}.module_list.0.1.weight")
    if logits and resnet and "head.regression_head.bbox_ctrness.weight" in shapes:
        return ("fcos_resnet50_fpn",), logits[0]
    if logits and resnet:
        second = "_v2" if f"{HEAD}.conv.0.1.weight" in shapes else ""
        return (f"retinanet_resnet50_fpn{second}",), logits[0] // 9
    if ssd and "backbone.scale_weight" in shapes:
        return ("ssd300_vgg16",), ssd[0] // 4
    return (("ssdlite320_mobilenet_v3_large",), lite[0] // 6) if lite else None


def head_classes(shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    """Classes of the head of one of torchvision's detectors, in a graph that kept the names of its tensors.

    Example:
        >>> head_classes({"model.roi_heads.box_predictor.cls_score.weight": (91, 1024)})
        91
    """
    for name, shape in shapes.items():
        for ending, anchors in HEADS.items():
            if name.endswith(ending) and len(shape) in (2, 4):
                shared = any(one.endswith("head.regression_head.bbox_ctrness.weight") for one in shapes)
                return shape[0] // (1 if shared else anchors)
    return None


HEADS = {
    ROI: 1,
    f"{HEAD}.cls_logits.weight": 9,
    f"{HEAD}.module_list.0.1.weight": 6,
    f"{HEAD}.module_list.0.weight": 4,
}
"""The weights that give the scores, and boxes at each place that they score."""


class TorchvisionWeights(Format):
    """A zip with a pickle, whose classes are not made: tensors and their names are all that is taken."""

    name, suffix, title = "torchvision", ".pth", "a state dict of a torchvision detector"
    other_suffixes = (".pt",)
    runs_code = False
    libraries: ClassVar[tuple[str, ...]] = ("torch", "wildbench.submissions.formats._torch_backend")
    counter = "wildbench.measures.compute:count_torch"

    def sniff(self, source: Source) -> bool:
        """Whether its tensors have the names of a detector's."""
        return source.parsed(read_weights) is not None

    def metadata(self, source: Source) -> dict[str, str]:
        """The detector and its number of classes."""
        weights = _weights(source)
        name = weights.detector(source)
        return {"torchvision.classes": str(weights.classes), **({"torchvision.detector": name} if name else {})}

    def check(self, source: Source, manifest: Manifest) -> None:
        """The head has as many categories as the manifest, and it is known which detector it is."""
        weights = _weights(source)
        if weights.detector(source, manifest) is None:
            problem = f"its tensors are those of {' and of '.join(weights.detectors)}"
            remedy = "name one of them in the file's name, or as the manifest's detector"
            raise source.error(problem, code="ambiguous-detector", remedy=remedy)
        if weights.classes != len(manifest.categories) + 1:
            problem = f"its head has {weights.classes - 1} categories, its manifest {len(manifest.categories)}"
            raise source.error(problem, code="categories", remedy="name every category, in the order of training")

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """The tensors, masked where they are pruned, and what else a checkpoint holds."""
        weights, seen, tensors = _weights(source), set[str](), []
        for name, stored in weights.tensors.items():
            parts = [stored, *([weights.masks[name]] if name in weights.masks else [])]
            nonzero = np.logical_and.reduce([_nonzero(part, source) for part in parts])
            records = {part.record for part in parts} - seen
            seen |= records
            size = sum(source.records[record].file_size for record in records)
            tensors.append(
                Tensor(
                    name=name,
                    shape=stored.shape,
                    dtype=stored.dtype,
                    codec="masked" if name in weights.masks else "raw",
                    bytes=size,
                    nonzero=int(np.count_nonzero(nonzero)),
                    parameter=not name.endswith(BUFFERS),
                    bits=width_of(stored.dtype),
                    stored_bits=width_of(stored.dtype),
                )
            )
        others = [name for name in source.records if name.startswith("data/") and name not in seen]
        rest = sum(source.records[name].file_size for name in others)
        overhead = {"names": source.records["data.pkl"].file_size} | ({"checkpoint": rest} if rest else {})
        return Listing(tensors, overhead)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> TorchBackend:
        """Build the detector, and fill it with the tensors."""
        from wildbench.submissions.formats._torch_backend import TorchBackend, torch_device

        device = torch_device(device, threads)
        return TorchBackend(self.load(source, manifest).to(device), device, manifest)

    def load(self, source: Source, manifest: Manifest) -> nn.Module:
        """The detector, in evaluation mode."""
        from torchvision.models import get_model

        weights = _weights(source)
        name = weights.detector(source, manifest)
        assert name is not None, "check refuses it"
        state = {key: _tensor(stored, source) for key, stored in weights.tensors.items()}
        for key, mask in weights.masks.items():
            state[key] = state[key] * _tensor(mask, source)
        made = {"weights": None, "weights_backbone": None, "num_classes": weights.classes}
        model: nn.Module = get_model(name, **made, **_arguments(name, source, manifest))
        try:
            missing, unknown = model.load_state_dict(state, strict=False)
            wrong = [key for key in missing if not key.endswith("num_batches_tracked")] + unknown
            problem = f"{wrong[0]} is missing or unknown" if wrong else ""
        except RuntimeError as error:
            problem = " ".join(str(error).split())[-200:]
        if problem:
            remedy = "export it as TorchScript or ONNX"
            raise source.error(f"its tensors do not fit {name} ({problem})", code="tensors", remedy=remedy)
        model.register_forward_hook(_without_background)
        return model.eval()


def _weights(source: Source) -> Weights:
    weights = source.parsed(read_weights)
    assert weights is not None, "sniff recognised it"
    return weights


def _arguments(name: str, source: Source, manifest: Manifest) -> dict[str, Any]:
    """Those that the manifest gives: sizes of images, thresholds."""
    from wildbench.detectors.zoo import detector

    known = detector(name).arguments
    for key, value in manifest.detector.arguments.items():
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
        if key not in known or not numeric:
            problem = f"{name} takes no argument {key!r} of {value!r}"
            remedy = f"it takes numbers for {', '.join(sorted(known))}"
            raise source.error(problem, code="unknown-argument", remedy=remedy)
    return dict(manifest.detector.arguments)


def _without_background(_: nn.Module, __: Any, answer: list[dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:  # noqa: ANN401
    """Label 0 names nothing; detectors with a sigmoid for each class can answer with it."""
    return [{key: value[image["labels"] > 0] for key, value in image.items()} for image in answer]


def _nonzero(stored: Stored, source: Source) -> npt.NDArray[np.bool_]:
    """Which elements are not zero."""
    half = stored.dtype == "bfloat16"  # which numpy has not; zero whatever its sign
    values: npt.NDArray[Any] = np.frombuffer(_bytes(stored, source), np.uint16 if half else stored.dtype)
    return np.asarray(values & 0x7FFF if half else values, np.bool_)


def _tensor(stored: Stored, source: Source) -> torch.Tensor:
    import torch

    data = bytearray(_bytes(stored, source))
    dtype = getattr(torch, stored.dtype)
    return torch.frombuffer(data, dtype=dtype).reshape(stored.shape) if data else torch.zeros(stored.shape, dtype=dtype)


def _bytes(stored: Stored, source: Source) -> memoryview:
    size = 1 if stored.dtype == "bool" else (width_of(stored.dtype) or 0) // 8
    return read_stored(stored, size, source)


FORMAT = TorchvisionWeights()
