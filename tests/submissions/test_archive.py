import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from wildbench.detectors.zoo import _zoo
from wildbench.errors import SubmissionError
from wildbench.submissions.archive._archive import read_manifest, read_submission, rebuild, save_submission
from wildbench.submissions.codecs import affine
from wildbench.submissions.codecs.registry import chain_of
from wildbench.submissions.codecs.storage import Steps
from wildbench.submissions.process._opened import open_submission

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
    assert archive.manifest == written == read_manifest(tmp_path / "a.pt")
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


@pytest.mark.parametrize(
    ("codec", "problem"),
    [
        ("zip", r"no codec 'zip'; use \"raw\", \"smallest\", or"),
        ({"backbone.conv9*": "fp16"}, r"codec: no tensor is called 'backbone.conv9\*'"),
        ({FIRST: 8}, "is to be stored as a int"),
        (
            {FIRST: {"codec": "raw", "values": torch.zeros(3)}},
            r"the record for [^ ]* is of \[3\], the tensor of \[16, 3",
        ),
        ({FIRST: {"codec": "raw"}}, "damaged raw record"),
    ],
)
def test_a_codec_that_does_not_fit_is_named(tmp_path: Path, model: nn.Module, codec: Any, problem: str) -> None:
    with pytest.raises(SubmissionError, match=problem):
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


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda state: without(state, *list(state)[:5]),
            r"5 missing \(backbone[^ ]*, backbone[^ ]*, backbone[^ ]*, \.\.\.\)",
        ),
        (lambda state: without(state, FIRST), r"1 missing \([^ ]*\);"),
        (lambda state: {**state, "adapter.weight": torch.zeros(1)}, r"1 unexpected \(adapter.weight\)"),
        (
            lambda state: {**state, FIRST: torch.zeros(7)},
            r"1 of a wrong shape \([^ ]* \[7\] not \[16, 3, 3, 3\]\)",
        ),
        (lambda state: {}, "missing"),
    ],
)
def test_tensors_that_do_not_fit_are_named(tmp_path: Path, model: nn.Module, change: Any, problem: str) -> None:
    state = change(dict(model.state_dict()))
    with pytest.raises(SubmissionError, match=problem):
        save_submission(state, tmp_path / "a.pt", **KEYS)
    assert not (tmp_path / "a.pt").exists()
    document = {"name": "a", "detector": {"name": NAME}, "categories": ["zebra", "lion"]}
    first_version(tmp_path / "a.pt", state, document)
    with pytest.raises(SubmissionError, match=problem):
        open_submission(tmp_path / "a.pt")


def test_another_number_of_categories_does_not_fit(tmp_path: Path, model: nn.Module) -> None:
    with pytest.raises(SubmissionError, match="of a wrong shape"):
        save_submission(model, tmp_path / "a.pt", **KEYS | {"categories": ["a", "b", "c"]})


def test_a_detector_that_the_zoo_lacks_is_named(tmp_path: Path, model: nn.Module) -> None:
    with pytest.raises(SubmissionError, match=r"a\.pt: no detector is called 'yolo99'; choose from"):
        save_submission(model, tmp_path / "a.pt", **KEYS | {"detector": "yolo99"})


def test_a_wrong_key_is_named_when_it_is_saved(tmp_path: Path, model: nn.Module) -> None:
    for key, value in (("detector", ""), ("arguments", {"score_thresh": torch.zeros(1)}), ("parent", "abc")):
        with pytest.raises(SubmissionError, match=rf"a\.pt: manifest: .*{key}"):
            save_submission(model, tmp_path / "a.pt", **KEYS | {key: value})


def test_another_suffix_is_refused(tmp_path: Path, model: nn.Module) -> None:
    with pytest.raises(SubmissionError, match=r"name it a\.pt"):
        save_submission(model, tmp_path / "a.pth", **KEYS)


MANIFEST = {"name": "a", "detector": {"name": NAME}, "categories": ["zebra"]}
WHOLE = {"format": "wildbench-submission", "version": 1, "manifest": MANIFEST, "state_dict": {}}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"weight": torch.zeros(3)}, r"a bare state dict, .*; wrap it: wildbench.save_submission\(state_dict, path"),
        ({"epoch": 3}, "no submission"),
        ([1, 2], "no submission"),
        (WHOLE | {"format": "other"}, "format tag 'other' is not 'wildbench-submission'"),
        (WHOLE | {"version": 4}, r"format version 4 is newer than this wildbench reads \(3\); upgrade"),
        (WHOLE | {"version": 3}, "`activations` do not belong to version 3, or are missing"),
        (WHOLE | {"version": 2, "activations": 0}, "`activations` do not belong to version 2, or are missing"),
        (WHOLE | {"version": 2}, "`index` or `tensors` is missing"),
        (WHOLE | {"version": "x"}, "format version x"),
        (WHOLE | {"manifest": None}, "`manifest` or its tensors are missing"),
        (without(WHOLE, "state_dict"), "`manifest` or `state_dict` is missing"),
        (WHOLE | {"manifest": without(MANIFEST, "name")}, "manifest: name: Field required"),
        (WHOLE | {"state_dict": {"w": {"codec": "int3"}}}, "w: codec 'int3' is unknown"),
    ],
)
def test_each_way_to_be_no_submission_is_one_line(tmp_path: Path, content: object, problem: str) -> None:
    path = tmp_path / "a.pt"
    torch.save(content, path)
    with pytest.raises(SubmissionError, match=problem) as caught:
        read_submission(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_zipped_records_are_refused(tmp_path: Path) -> None:
    torch.save(WHOLE, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as source, zipfile.ZipFile(tmp_path / "b.pt", "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)
    with pytest.raises(SubmissionError, match="its records are zipped"):
        read_submission(tmp_path / "b.pt")
