import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused
from torch import nn

from wildbench.detectors.zoo import _zoo
from wildbench.submissions.admission import admit
from wildbench.submissions.archive._archive import read_submission, rebuild, save_submission
from wildbench.submissions.codecs import affine
from wildbench.submissions.codecs.chains import chain_of
from wildbench.submissions.codecs.storage import Steps
from wildbench.submissions.process import open_submission

NAME = "ssdlite320_mobilenet_v3_large"
FIRST = "backbone.features.0.0.0.weight"
KEYS: dict[str, Any] = {"detector": NAME, "categories": ["zebra", "lion"], "arguments": {"score_thresh": 0.001}}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    torch.manual_seed(5)
    return _zoo.build(NAME, 2, score_thresh=0.001).eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(1))


def test_a_raw_submission_answers_as_the_model_does(tmp_path: Path, model: nn.Module, image: torch.Tensor) -> None:
    written = save_submission(model, tmp_path / "a.pt", **KEYS, authors=["A. Ranger"], licence="MIT")
    archive = read_submission(tmp_path / "a.pt")
    assert archive.manifest == written == admit(tmp_path / "a.pt").manifest
    assert (written.name, written.authors, written.licence) == ("a", ["A. Ranger"], "MIT")
    with torch.inference_mode():
        expected, found = model([image])[0], rebuild(archive, "a.pt")([image])[0]
    assert len(expected["scores"])
    for key, values in expected.items():
        assert torch.equal(found[key], values)


def test_an_fp16_submission_is_the_model_rounded_to_halves(tmp_path: Path, model: nn.Module) -> None:
    save_submission(model, tmp_path / "a.pt", **KEYS, codec="fp16")
    for key, values in read_submission(tmp_path / "a.pt").tensors.items():
        original = model.state_dict()[key]
        assert torch.equal(values, original.half().float() if original.is_floating_point() else original), key
    save_submission(model, tmp_path / "raw.pt", **KEYS)
    sizes = [(tmp_path / name).stat().st_size for name in ("a.pt", "raw.pt")]
    assert 0.5 < sizes[0] / sizes[1] < 0.56


def test_each_tensor_may_have_a_codec_of_its_own(tmp_path: Path, model: nn.Module) -> None:
    state = model.state_dict()
    weight = state[FIRST]
    scale = weight.abs().amax((1, 2, 3)) / 127
    q = (weight / scale[:, None, None, None]).round().to(torch.int8)
    zero = torch.zeros(len(scale), dtype=torch.int8)
    second = "backbone.features.0.0.1.weight"
    codec = {
        "backbone.features.0.*": "fp16",
        FIRST: affine.record(q, scale, zero, axis=0, steps=Steps(huffman=True)),
        "backbone.*": "int8+huffman",
    }
    save_submission(model, tmp_path / "a.pt", **KEYS, codec=codec)
    archive = read_submission(tmp_path / "a.pt")
    chains = {name: chain_of(record, name) for name, record in archive.records.items()}
    assert torch.equal(archive.tensors[FIRST], scale[:, None, None, None] * q)
    assert (chains[FIRST], chains[second]) == ("int8", "fp16"), "so few codes are not made smaller"
    assert {chain for name, chain in chains.items() if name.startswith("head")} == {"raw"}
    assert "int8+huffman" in {chain for name, chain in chains.items() if name.startswith("backbone.features.1")}


def test_a_codec_that_does_not_fit_is_named(tmp_path: Path, model: nn.Module) -> None:
    for codec, code in (
        ("zip", "codec"),
        ({"backbone.conv9*": "fp16"}, "codec"),
        ({FIRST: 8}, "codec"),
        ({FIRST: {"codec": "raw", "values": torch.zeros(3)}}, "codec"),
        ({FIRST: {"codec": "raw"}}, "damaged-record"),
    ):
        with refused(f"submission/{code}"):
            save_submission(model, tmp_path / "a.pt", **KEYS, codec=codec)
        assert not (tmp_path / "a.pt").exists()


def test_the_same_model_gives_the_same_bytes(tmp_path: Path, model: nn.Module) -> None:
    for name in ("a.pt", "b.pt"):
        save_submission(model, tmp_path / name, **KEYS, name="same")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_a_state_dict_will_do(tmp_path: Path, model: nn.Module) -> None:
    save_submission(model.state_dict(), tmp_path / "a.pt", **KEYS)
    assert open_submission(tmp_path / "a.pt").module is not None


def test_only_plain_data_is_in_the_file(tmp_path: Path, model: nn.Module) -> None:
    save_submission(model, tmp_path / "a.pt", **KEYS)
    content = torch.load(tmp_path / "a.pt", weights_only=True)
    assert list(content) == ["format", "version", "manifest", "groups", "index", "tensors"]
    assert (content["format"], content["version"]) == ("wildbench-submission", 2)
    index = json.loads(zlib.decompress(content["tensors"][: content["index"]].numpy().tobytes()))
    assert list(index) == list(model.state_dict())


def first_version(path: Path, state: dict[str, torch.Tensor], document: dict) -> None:
    """An archive as the first wildbench wrote it."""
    records = {key: {"codec": "raw", "values": values} for key, values in state.items()}
    torch.save({"format": "wildbench-submission", "version": 1, "manifest": document, "state_dict": records}, path)


def test_the_first_version_is_read_as_ever(tmp_path: Path, model: nn.Module) -> None:
    written = save_submission(model, tmp_path / "a.pt", **KEYS)
    first_version(tmp_path / "b.pt", model.state_dict(), written.model_dump(mode="json"))
    new, old = (read_submission(tmp_path / name) for name in ("a.pt", "b.pt"))
    assert old.manifest == new.manifest
    assert all(torch.equal(old.tensors[key], values) for key, values in model.state_dict().items())
    assert all(torch.equal(new.tensors[key], values) for key, values in model.state_dict().items())
    sizes = [(tmp_path / name).stat().st_size for name in ("a.pt", "b.pt")]
    assert sizes[1] - sizes[0] > 200 * len(old.tensors), "an entry of the zip a tensor takes more"


def without(state: dict, *keys: str) -> dict:
    return {key: values for key, values in state.items() if key not in keys}


def test_tensors_that_do_not_fit_are_named(tmp_path: Path, model: nn.Module) -> None:
    whole = dict(model.state_dict())
    document = {"name": "a", "detector": {"name": NAME}, "categories": ["zebra", "lion"]}
    for state, problem in (
        (without(whole, *list(whole)[:5]), r"5 missing \(backbone[^ ]*, backbone[^ ]*, backbone[^ ]*, \.\.\.\)"),
        (without(whole, FIRST), r"1 missing \([^ ]*\);"),
        ({**whole, "adapter.weight": torch.zeros(1)}, r"1 unexpected \(adapter.weight\)"),
        ({**whole, FIRST: torch.zeros(7)}, r"1 of a wrong shape \([^ ]* \[7\] not \[16, 3, 3, 3\]\)"),
        ({}, "missing"),
    ):
        with refused("submission/tensors") as caught:
            save_submission(state, tmp_path / "a.pt", **KEYS)
        assert re.search(problem, str(caught.value))
        first_version(tmp_path / "b.pt", state, document)
        with refused("submission/tensors"):
            open_submission(tmp_path / "b.pt")
    assert not (tmp_path / "a.pt").exists()


def test_keys_that_do_not_fit_are_named_when_it_is_saved(tmp_path: Path, model: nn.Module) -> None:
    for name, change, code in (
        ("a.pt", {"categories": ["a", "b", "c"]}, "tensors"),
        ("a.pt", {"detector": "yolo99"}, "unknown-detector"),
        ("a.pt", {"detector": ""}, "manifest"),
        ("a.pt", {"arguments": {"score_thresh": torch.zeros(1)}}, "manifest"),
        ("a.pt", {"parent": "abc"}, "manifest"),
        ("a.pth", {}, "wrong-suffix"),
    ):
        with refused(f"submission/{code}"):
            save_submission(model, tmp_path / name, **KEYS | change)


MANIFEST = {"name": "a", "detector": {"name": NAME}, "categories": ["zebra"]}
WHOLE = {"format": "wildbench-submission", "version": 1, "manifest": MANIFEST, "state_dict": {}}


def test_each_way_not_to_be_a_submission_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    for content, code in (
        ({"weight": torch.zeros(3)}, "bare-state-dict"),
        ({"epoch": 3}, "not-a-submission"),
        ([1, 2], "not-a-submission"),
        (WHOLE | {"format": "other"}, "not-a-submission"),
        (WHOLE | {"version": 4}, "newer-version"),
        (WHOLE | {"version": "x"}, "newer-version"),
        (WHOLE | {"version": 3}, "incomplete"),
        (WHOLE | {"version": 2, "activations": 0}, "incomplete"),
        (WHOLE | {"version": 2}, "incomplete"),
        (WHOLE | {"manifest": None}, "incomplete"),
        (without(WHOLE, "state_dict"), "incomplete"),
        (WHOLE | {"manifest": without(MANIFEST, "name")}, "manifest"),
        (WHOLE | {"state_dict": {"w": {"codec": "int3"}}}, "unknown-codec"),
        (WHOLE | {"state_dict": {"w": {"codec": "raw", "values": torch.zeros(2, 3).t()}}}, "damaged"),
    ):
        torch.save(content, path)
        with refused(f"submission/{code}") as caught:
            read_submission(path)
        assert str(caught.value).startswith(str(path))


def test_zipped_records_are_refused(tmp_path: Path) -> None:
    torch.save(WHOLE, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as source, zipfile.ZipFile(tmp_path / "b.pt", "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)
    with refused("submission/zipped-records"):
        read_submission(tmp_path / "b.pt")
