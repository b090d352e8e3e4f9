"""What wildbench can be extended with: one registry for each kind, filled from this page and from entry points.

A registry maps a name to `"module:attribute"`, which is imported when it is first asked for. A package adds to it by an
entry point of the registry's group, so that nothing in wildbench has to change:

    [project.entry-points."wildbench.measures"]
    energy = "my_package.energy:Energy"

docs/extending.md shows each kind in a few lines.
"""

from __future__ import annotations

import contextlib
import difflib
import gc
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from wildbench.errors import PluginError


class Registry:
    """Names and what they stand for.

    Args:
        kind: What is registered, for messages: "format".
        group: The group of entry points, such as `wildbench.formats`.
        builtin: Name to `"module:attribute"`, or to an object, in the order in which names are listed.
    """

    def __init__(self, kind: str, group: str, builtin: Mapping[str, object]) -> None:
        self.kind, self.group = kind, group
        self._targets: dict[str, Any] = dict(builtin)
        self._resolved: dict[str, Any] = {}

    def names(self) -> tuple[str, ...]:
        """Every name: wildbench's own first, then those of installed packages in alphabetical order."""
        return (*self._targets, *sorted(name for name in self._installed if name not in self._targets))

    def __contains__(self, name: object) -> bool:
        return name in self._targets or name in self._installed

    def register(self, name: str, target: object) -> None:
        """Add something for this process: an object, or `"module:attribute"`.

        Raises:
            PluginError: The name is taken.
        """
        if name in self:
            raise PluginError(f"{self.kind} {name!r} is registered already", code="taken", remedy="choose another name")
        self._targets[name] = target

    def get(self, name: str) -> Any:  # noqa: ANN401 - each registry's protocol says what it holds
        """What a name stands for, imported now if it was not before.

        Raises:
            PluginError: Nothing has that name, or an installed package takes the name of another.
        """
        if name not in self._resolved:
            self._resolved[name] = self._resolve(name)
        return self._resolved[name]

    def all(self) -> dict[str, Any]:
        """Everything that is registered, by name; imports all of it."""
        return {name: self.get(name) for name in self.names()}

    def folders(self) -> list[str]:
        """Folders from which the installed packages that add to it are imported."""
        distributions = (point.dist for points in self._installed.values() for point in points)
        return list(dict.fromkeys(str(one.locate_file("")) for one in distributions if one is not None))

    def _resolve(self, name: str) -> Any:  # noqa: ANN401
        own, installed = self._targets.get(name), self._installed.get(name, [])
        if (own is not None) + len(installed) > 1:
            packages = ", ".join(sorted(f"{point.dist.name if point.dist else point.value}" for point in installed))
            raise PluginError(
                f"{self.kind} {name!r} is registered more than once ({packages})",
                code="collision",
                remedy="uninstall one of the packages, or rename its entry point",
            )
        if installed:
            return installed[0].load()
        if own is None:
            remedy = did_you_mean(name, self.names())
            raise PluginError(f"no {self.kind} is called {name!r}", code="unknown", remedy=remedy)
        return resolve(own) if isinstance(own, str) else own

    @cached_property
    def _installed(self) -> dict[str, list[EntryPoint]]:
        """Entry points of the group, by name."""
        points: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            points.setdefault(point.name, []).append(point)
        return points


def resolve(target: str) -> Any:  # noqa: ANN401
    """What `"module:attribute"` names.

    Example:
        >>> resolve("math:gcd")(12, 18)
        6
    """
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """A remedy for a name that is not there.

    Example:
        >>> did_you_mean("wieghts", ["weights", "units"]), did_you_mean("none", ["weights", "units"])
        ("did you mean 'weights'?", 'choose from weights, units')
    """
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"


formats = Registry(
    "submission format",
    "wildbench.formats",
    {
        "torchvision": "wildbench.submissions.formats.torchvision_weights:FORMAT",
        "wildbench": "wildbench.submissions.formats.submission_pt:FORMAT",
        "torchscript": "wildbench.submissions.formats.torchscript:FORMAT",
        "pt2": "wildbench.submissions.formats.torch_export:FORMAT",
        "onnx": "wildbench.submissions.formats.onnx_graph:FORMAT",
        "ort": "wildbench.submissions.formats.ort:FORMAT",
        "openvino": "wildbench.submissions.formats.openvino:FORMAT",
        "litert": "wildbench.submissions.formats.litert:FORMAT",
        "huggingface": "wildbench.submissions.formats.huggingface:FORMAT",
        "tensorrt": "wildbench.submissions.formats.tensorrt:FORMAT",
        "executorch": "wildbench.submissions.formats.executorch:FORMAT",
        "ncnn": "wildbench.submissions.formats.ncnn:FORMAT",
    },
)
"""How a file is recognised, described, opened and counted: `wildbench.submissions.formats.Format`."""

readers = Registry(
    "metadata reader",
    "wildbench.readers",
    {
        name: f"wildbench.submissions.readers.{name.replace('-', '_')}:read"
        for name in (
            "camera-trap-toml",
            "yolo-metadata",
            "model-info",
            "tflite-metadata",
            "custom-vision",
            "paddle-config",
            "mmdeploy-pipeline",
            "transformers-config",
            "state-dict",
            "label-files",
            "plain-outputs",
        )
    },
)
"""How tools describe their detectors in the files that they export: `wildbench.submissions.readers.Reader`."""

_TORCHVISION = "wildbench.detectors.zoo._published"

detectors = Registry(
    "detector",
    "wildbench.detectors",
    {
        "fcos_efficientnet_lite0_fpn": "wildbench.detectors.zoo._small_fcos:SMALL_FCOS",
        "fasterrcnn_resnet50_fpn": f"{_TORCHVISION}:FASTER_RCNN",
        "fasterrcnn_resnet50_fpn_v2": f"{_TORCHVISION}:FASTER_RCNN_V2",
        "fasterrcnn_mobilenet_v3_large_fpn": f"{_TORCHVISION}:FASTER_RCNN_MOBILE",
        "fasterrcnn_mobilenet_v3_large_320_fpn": f"{_TORCHVISION}:FASTER_RCNN_MOBILE_320",
        "maskrcnn_resnet50_fpn": f"{_TORCHVISION}:MASK_RCNN",
        "maskrcnn_resnet50_fpn_v2": f"{_TORCHVISION}:MASK_RCNN_V2",
        "maskrcnn_mobilenet_v3_large_fpn": f"{_TORCHVISION}:MASK_RCNN_MOBILE",
        "retinanet_resnet50_fpn": f"{_TORCHVISION}:RETINANET",
        "retinanet_resnet50_fpn_v2": f"{_TORCHVISION}:RETINANET_V2",
        "fcos_resnet50_fpn": f"{_TORCHVISION}:FCOS_RESNET",
        "ssd300_vgg16": f"{_TORCHVISION}:SSD",
        "ssdlite320_mobilenet_v3_large": f"{_TORCHVISION}:SSDLITE",
    },
)
"""Networks that a submission is rebuilt from by name: `wildbench.detectors.zoo.Detector`."""

methods = Registry(
    "compression method",
    "wildbench.methods",
    {
        name: f"wildbench.compression.catalogue:{name.replace('-', '_').upper()}"
        for name in (
            *("weights", "units", "filters", "kernels", "quantize", "half", "share", "code"),
            *("recalibrate", "fine-tune", "distil", "from-scratch"),
        )
    },
)
"""Steps that a recipe names: `wildbench.compression.subject.Method`."""

datasets = Registry(
    "data set",
    "wildbench.datasets",
    {name: Path("annotations", name) for name in ("parksim", "parks", "parks-authors")},
)
"""Data sets by name: a folder or a package with a card in it (`wildbench.datasets.registry.Card`)."""

label_formats = Registry(
    "form of labels",
    "wildbench.label_formats",
    {
        "voc": "wildbench.datasets.formats.voc:FORM",
        "yolo": "wildbench.datasets.formats.yolo:FORM",
        "coco": "wildbench.datasets.formats.coco_files:FORM",
        "parquet": "wildbench.datasets.formats.parquet_files:FORM",
    }
    | {
        name: f"wildbench.datasets.formats.{name.replace('-', '_')}:FORM"
        for name in (
            *("camtrap-dp", "open-images", "datumaro", "deep-forest"),
            *("image-folder", "fiftyone-folder"),
        )
    }
    | {
        name: f"wildbench.datasets.formats.annotators.{name.replace('-', '_')}:FORM"
        for name in ("labelme", "via", "create-ml", "cvat", "label-studio", "supervisely")
    },
)
"""How labels lie on disk: `wildbench.datasets.formats.Form`."""

outputs = Registry(
    "form of detections",
    "wildbench.outputs",
    {
        name: f"wildbench.datasets.outputs.{name.replace('-', '_')}:OUTPUT"
        for name in ("megadetector", "speciesnet", "pytorch-wildlife", "ultralytics", "yolo-texts", "fiftyone-labels")
    },
)
"""What detectors' tools write: `wildbench.datasets.outputs.Output`."""

_FIGURES = """
ap ap50 ap75 ap_small ap_medium ap_large ar_1 ar_10 ar_100 ar_small ar_medium ar_large mean_iou50 false_alarms
empties_removed count_error count_exact file_bytes
parameters nonzero dense_fp32_bytes bitmask_bytes entropy_bytes macs nonzero_macs bops latency_ratio latency
latency_mean latency_p50 latency_p90 latency_p99 peak_memory
"""

measures = Registry(
    "measure", "wildbench.measures", {name: f"wildbench.measures.figures:{name.upper()}" for name in _FIGURES.split()}
)
"""Figures of a scorecard that boards, fronts and sweeps show: `wildbench.measures.Measure`."""


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Look for no garbage while large libraries are imported: what they make stays, and torch takes 0.2 s less."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
