"""Formats that are not taken are named, each with the command that helps."""

import collections
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from refusals import refused
from torch import nn

from wildbench.submissions.admission import admit, recognise
from wildbench.submissions.foreign import FOREIGN
from wildbench.submissions.source import Source

STATE = nn.Linear(2, 2).state_dict()
NOT_TAKEN = "submission/not-taken"


def saved(content: Any, **options: Any) -> bytes:
    whole = io.BytesIO()
    torch.save(content, whole, **options)
    return whole.getvalue()


def pickled_class(module: str, name: str) -> bytes:
    """A checkpoint that holds an object of somebody's class, which nobody could import here."""
    parts = module.split(".")
    packages = {".".join(parts[: at + 1]): types.ModuleType(part) for at, part in enumerate(parts)}
    kind = type(name, (), {"__module__": module})
    setattr(packages[module], name, kind)
    with patch.dict(sys.modules, packages):
        return saved({"model": kind(), "epoch": 3, "ema": None})


def zipped(*names: str) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return whole.getvalue()


MMDET = {"meta": {"CLASSES": ("lion",)}, "state_dict": STATE}
LIGHTNING = {"epoch": 1, "pytorch-lightning_version": "2.4.0", "state_dict": STATE, "loops": {}}
DETECTRON = {"model": collections.OrderedDict({"backbone.bottom_up.res2.weight": np.zeros(3)}), "__author__": "x"}

FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "yolo.pt": ("yolo export model=yolo.pt format=onnx", lambda: pickled_class("ultralytics.nn.tasks", "Model")),
    "v5.pt": ("export.py --weights v5.pt --include onnx", lambda: pickled_class("models.yolo", "Model")),
    "epoch_12.pth": ("deploy.py", lambda: saved(MMDET)),
    "epoch_13.pt": ("deploy.py", lambda: saved(MMDET)),
    "old.pth": ("deploy.py", lambda: saved(MMDET, _use_new_zipfile_serialization=False)),
    "last.ckpt": ("load_from_checkpoint", lambda: saved(LIGHTNING)),
    "model_final.pth": ("export_model.py", lambda: saved({"model": {"roi_heads.w": torch.ones(2)}, "iteration": 9})),
    "model_final.pkl": ("export_model.py", lambda: pickle.dumps(DETECTRON)),
    "checkpoint.pt": ("torch.onnx.export", lambda: saved({"model": STATE, "epoch": 3})),
    "checkpoint.pth": ("torch.onnx.export", lambda: saved({"model": STATE, "epoch": 3})),
    "tiny.mlmodel": ("format=onnx", lambda: b"\x08\x04\x12\x8e\x02\x0a"),
    "saved_model.pb": ("--saved-model", lambda: b"\x08\x01\x12\x00"),
    "frozen_inference_graph.pb": ("--graphdef frozen_inference_graph.pb", lambda: b"\x0a\x10\x0a\x05image"),
    "tiny.keras": ("--keras tiny.keras", lambda: zipped("metadata.json", "config.json", "model.weights.h5")),
    "tiny.h5": ("--keras tiny.h5", lambda: b"\x89HDF\r\n\x1a\n"),
    "tiny.rknn": ("rknn-toolkit2", lambda: b"RKNN\0\0\0\0\6"),
    "tiny.bin": ("rknn-toolkit2", lambda: b"RKNN\0\0\0\0\6"),
    "tiny.hef": ("hailo", lambda: b"\x01HEF\0\0\0\2"),
    "tiny.mnn": ("MNNConvert", lambda: b"\x20\0\0\0\x1c\0\0\0"),
    "model.pdmodel": ("paddle2onnx", lambda: b"\x0a\x90\x01"),
    "yolo.weights": ("darknet2onnx.py", lambda: bytes(40)),
    "pytorch_model.bin": ("save_pretrained", lambda: saved(STATE)),
    "model-00001-of-00002.safetensors": ("max_shard_size", lambda: b"\2" + bytes(7) + b'{"'),
    "model.onnx.gz": ("unpack it", lambda: b"\x1f\x8b\x08"),
    "packerOut.zip": ("format=onnx", lambda: zipped("a.rpk", "dnnParams.xml")),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_with_the_command_that_helps(name: str, tmp_path: Path) -> None:
    command, make = FILES[name]
    (tmp_path / name).write_bytes(make())
    with refused(NOT_TAKEN, command):
        admit(tmp_path / name)


def test_bare_weights_are_said_to_be_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "state_dict.pth").write_bytes(saved({"a.weight": torch.ones(2), "a.bias": torch.ones(2)}))
    with refused("submission/weights-alone"):
        recognise(Source.read(tmp_path / "state_dict.pth"))


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("tiny.mlpackage", {"Manifest.json": b"{}", "Data/com.apple.CoreML/model.mlmodel": b"\x08\x04"}),
        ("saved", {"saved_model.pb": b"\x08\x01\x12\x00", "variables/variables.index": b"x"}),
        ("yolo11n_rknn_model", {"model.bin": b"x", "metadata.yaml": b"task: detect"}),
        ("yolo11n_paddle_model", {"inference_model/model.json": b"{}"}),
        ("anything", {"readme.txt": b"hello", "deeper/tiny.rknn": b"x"}),
        ("run", {"epoch_12.pth": saved(MMDET)}),
        ("weights", {"best.pt": saved({"meta": {}, "state_dict": {"turned": torch.ones(2, 3).T}})}),
    ],
)
def test_a_folder_is_named_too(folder: str, files: dict[str, bytes], tmp_path: Path) -> None:
    for name, data in files.items():
        (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_bytes(data)
    with refused(NOT_TAKEN):
        admit(tmp_path / folder)


def test_nothing_is_unpickled_and_damage_is_no_crash() -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return sys.exit, (9,)

    whole = saved({"meta": Bomb(), "state_dict": STATE})
    for data in (whole, pickle.dumps({"meta": Bomb()}), b"\x80\x02c", b"\x80\x04\x95\xff", whole[:-40], b""):
        source = Source(Path("a.pth"), data)
        named = [kind for kind in FOREIGN if kind.recognises(source)]
        assert [kind.title for kind in named] == (["an MMDetection checkpoint"] if data is whole else [])
