"""From a dense submission to a smaller one that remembers where it came from."""

import shutil
from pathlib import Path

import pytest
import torch
from made_up_herd import ARGUMENTS, dense_submission, herd
from refusals import refused
from torch import nn
from torch.nn.utils import prune
from torchvision.ops import FrozenBatchNorm2d

from wildbench import plugins
from wildbench.compression import chain
from wildbench.compression.chain import check_norms, check_same, compress, save
from wildbench.compression.recipes import Recipe, parse_recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.detectors.zoo import _zoo
from wildbench.errors import DatasetError, OutputError
from wildbench.files import sha256_of
from wildbench.submissions.archive._archive import Archive, read_submission, rebuild, save_submission
from wildbench.submissions.codecs.chains import encode


def recipe(*steps: dict[str, object], **keys: object) -> Recipe:
    return parse_recipe({"summary": "a chain", "steps": list(steps), **keys}, "chain.toml", "chain")


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dense_submission(tmp_path_factory.mktemp("dense") / "dense.pt")


def test_what_is_pruned_is_what_torch_prunes(dense: Path, tmp_path: Path) -> None:
    made = compress(recipe({"method": "weights", "ratio": 0.4}), dense, tmp_path / "small.pt")
    model = rebuild(read_submission(dense), "dense")
    layers = [
        module
        for name, module in model.named_modules()
        if name.startswith("backbone.") and isinstance(module, (torch.nn.Conv2d, torch.nn.Linear))
    ]
    prune.global_unstructured([(layer, "weight") for layer in layers], prune.L1Unstructured, amount=0.4)
    for layer in layers:
        prune.remove(layer, "weight")
    stored = read_submission(tmp_path / "small.pt").tensors
    for name, tensor in model.state_dict().items():
        assert torch.equal(stored[name], tensor), name
    assert (made.before, made.after) == (dense.stat().st_size, (tmp_path / "small.pt").stat().st_size)
    assert made.ratio == pytest.approx(made.before / made.after)
    assert made.ratio > 1.3


def test_it_remembers_where_it_came_from(dense: Path, tmp_path: Path) -> None:
    compress(recipe({"method": "weights"}, {"method": "units", "ratio": 0.1}), dense, tmp_path / "small.pt")
    found, before = read_submission(tmp_path / "small.pt").manifest, read_submission(dense).manifest
    assert found.name == "small"
    assert found.parent == sha256_of(dense)
    assert found.method is not None
    assert found.method.index("weights of backbone zeroed") < found.method.index("; ") < found.method.index("units")
    kept = ("authors", "licence", "training_data", "categories", "detector", "input", "output", "category_map")
    for key in kept:
        assert getattr(found, key) == getattr(before, key), key
    assert found.detector.arguments == ARGUMENTS


def test_what_is_made_of_a_compressed_one_tells_both_steps(dense: Path, tmp_path: Path) -> None:
    compress(recipe({"method": "weights"}), dense, tmp_path / "first.pt")
    compress(recipe({"method": "units"}), tmp_path / "first.pt", tmp_path / "second.pt")
    first, second = (read_submission(tmp_path / f"{name}.pt").manifest for name in ("first", "second"))
    assert second.method is not None
    assert second.method.startswith(f"{first.method}; ")
    assert second.parent == sha256_of(tmp_path / "first.pt")


def test_the_same_seed_makes_the_same_bytes(dense: Path, tmp_path: Path) -> None:
    control = recipe({"method": "weights", "criterion": "random"})
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        compress(control, dense, tmp_path / name / "small.pt", seed=seed)
    files = {name: (tmp_path / name / "small.pt").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]


def test_pruning_by_magnitude_needs_no_data(dense: Path, tmp_path: Path) -> None:
    compress(recipe({"method": "weights"}, data={"dataset": "nowhere"}), dense, tmp_path / "small.pt")
    assert read_submission(tmp_path / "small.pt").manifest.training_data == "herd"


def test_data_that_a_step_asks_for_are_loaded_then(tmp_path: Path) -> None:
    path, loads = herd(tmp_path / "photos", images=2), []

    def load() -> Dataset:
        loads.append(1)
        return load_dataset(path)

    workshop = Workshop(torch.nn.Identity(), load, seed=3, device="cpu")
    assert (workshop.seed, workshop.device, workshop.used, loads) == (3, "cpu", None, [])
    assert workshop.data is workshop.data
    assert (workshop.used, loads) == (workshop.data, [1])


def test_data_that_are_not_there_leave_nothing_behind(dense: Path, tmp_path: Path) -> None:
    with refused("dataset/no-such-dataset", "nowhere"):
        compress(recipe({"method": "quantize"}), dense, tmp_path / "out" / "small.pt", dataset="nowhere")
    assert not (tmp_path / "out").exists()


def test_other_data_than_the_dense_one_s_are_told(dense: Path, tmp_path: Path) -> None:
    subject = Subject(rebuild(read_submission(dense), "dense"), read_submission(dense).manifest)
    data = load_dataset(herd(tmp_path / "photos", images=2).rename(tmp_path / "photos" / "zoo.json"))
    save(subject, tmp_path / "small.pt", parent=sha256_of(dense), trained_on=data)
    assert read_submission(tmp_path / "small.pt").manifest.training_data == "herd; zoo"


def test_a_record_that_lies_is_found_and_nothing_is_left(dense: Path, tmp_path: Path) -> None:
    archive = read_submission(dense)
    subject = Subject(rebuild(archive, "dense"), archive.manifest)
    name = next(name for name, tensor in archive.tensors.items() if tensor.ndim == 4)
    subject.records[name] = encode(archive.tensors[name] * 2, "raw")
    with refused("submission/stored-differently", "small.pt", name):
        save(subject, tmp_path / "out" / "small.pt", parent=sha256_of(dense))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_changed_model_is_not_the_written_one(dense: Path) -> None:
    model = rebuild(read_submission(dense), "dense")
    check_same(model, dense)
    with torch.no_grad():
        next(model.parameters()).flatten()[-1] += 1e-6
    with refused("submission/stored-differently"):
        check_same(model, dense)


def test_an_old_result_stays_where_the_new_one_fails(dense: Path, tmp_path: Path) -> None:
    shutil.copy(dense, tmp_path / "small.pt")
    with pytest.raises(DatasetError):
        compress(recipe({"method": "quantize"}), dense, tmp_path / "small.pt", dataset="nowhere")
    assert sha256_of(tmp_path / "small.pt") == sha256_of(dense)
    assert [path.name for path in tmp_path.iterdir()] == ["small.pt"]


def test_what_cannot_be_compressed_is_one_line(dense: Path, tmp_path: Path) -> None:
    plain = recipe({"method": "weights"})
    with refused("recipe/wrong-suffix", "small.zip"):
        compress(plain, dense, tmp_path / "small.zip")
    with pytest.raises(OutputError):
        compress(plain, dense, dense.parent / "dense.pt" / "small.pt")
    (tmp_path / "text.pt").write_text("no network")
    with refused("submission/bare-pickle", "text.pt"):
        compress(plain, tmp_path / "text.pt", tmp_path / "small.pt")
    with refused("submission/no-such-file", "none.pt"):
        compress(plain, tmp_path / "none.pt", tmp_path / "small.pt")


def test_what_cannot_be_written_or_read_is_told_before_any_step(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        pytest.fail("a step was done")

    monkeypatch.setattr("wildbench.compression.chain.rebuild", never)
    plain, tuned = recipe({"method": "weights"}), recipe({"method": "fine-tune", "like": "none.toml"})
    with refused("recipe/not-8-bit", "a.onnx"):
        compress(plain, dense, tmp_path / "a.onnx")
    with pytest.raises(OutputError):
        compress(plain, dense, tmp_path / f"{'ä' * 120}.pt")
    with refused("recipe/unreadable", "none.toml"):
        compress(tuned, dense, tmp_path / "a.pt")
    for given in ({"dataset": "parksim"}, {"split": "train"}, {"images": tmp_path}):
        with refused("recipe/unused-data", f"--{next(iter(given))}"):
            compress(plain, dense, tmp_path / "a.pt", **given)
    monkeypatch.undo()
    with refused("submission/manifest"):
        compress(recipe({"method": "quantize"}, data={"dataset": "nowhere"}), dense, tmp_path / f"{'a' * 201}.pt")
    assert list(tmp_path.iterdir()) == []


def test_the_parent_is_what_was_read(dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(dense, tmp_path / "dense.pt")
    rebuild = chain.rebuild

    def replaced(archive: Archive, path: str) -> torch.nn.Module:
        Path(path).write_bytes(b"another")
        return rebuild(archive, path)

    monkeypatch.setattr(chain, "rebuild", replaced)
    made = compress(recipe({"method": "weights"}), tmp_path / "dense.pt", tmp_path / "small.pt")
    assert read_submission(tmp_path / "small.pt").manifest.parent == sha256_of(dense)
    assert made.before == dense.stat().st_size


def test_a_step_that_cannot_be_done_names_itself(tmp_path: Path) -> None:
    path = dense_submission(tmp_path / "dense.pt")
    with refused("recipe/nothing-to-quantize", "chain.toml: step 2 (quantize): "):
        compress(
            recipe({"method": "weights"}, {"method": "quantize", "scope": "head", "keep": "head"}),
            path,
            tmp_path / "small.pt",
            dataset=str(herd(tmp_path / "photos", images=2)),
        )


def test_the_dense_file_is_never_overwritten(dense: Path, tmp_path: Path) -> None:
    shutil.copy(dense, tmp_path / "own.pt")
    (tmp_path / "link.pt").symlink_to(tmp_path / "own.pt")
    for out in (tmp_path / "own.pt", tmp_path / "link.pt", tmp_path / "photos" / ".." / "own.pt"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        with refused("recipe/overwrites-dense"):
            compress(recipe({"method": "weights"}), tmp_path / "own.pt", out)
    assert sha256_of(tmp_path / "own.pt") == sha256_of(dense)


def test_norms_that_could_not_be_recalibrated_are_told_before_anything_is_trained(dense: Path, tmp_path: Path) -> None:
    began: list[str] = []
    steps = recipe({"method": "filters"}, {"method": "fine-tune"}, {"method": "recalibrate"})
    with refused("recipe/norms-changed", "step 3 (recalibrate): fine-tune "):
        compress(steps, dense, tmp_path / "small.pt", progress=lambda task, _done, _total: began.append(task))
    assert not began


def test_what_would_undo_a_compression_starts_from_the_dense_one(dense: Path, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.pt"
    compress(recipe({"method": "weights"}), dense, sparse)
    for method in set(plugins.methods.names()) - {"weights", "units", "kernels"}:
        before = [] if method == "filters" else [{"method": "units"}]  # after units it would be refused anyway
        with refused("recipe/already-compressed", f"chain.toml: step {len(before) + 1} ({method}) would", str(sparse)):
            compress(recipe(*before, {"method": method}), sparse, tmp_path / "small.pt")


def test_weights_that_the_file_rounds_or_leaves_out_are_compressed(dense: Path, tmp_path: Path) -> None:
    archive = read_submission(dense)
    tensors = {name: tensor.clone() for name, tensor in archive.tensors.items()}
    for tensor in tensors.values():
        if tensor.dim() > 1:
            tensor[: len(tensor) // 2] = 0
    detector = archive.manifest.detector
    about = {"detector": detector.name, "arguments": detector.arguments, "categories": archive.manifest.categories}
    for codec in ("sparse", "int8", "int4"):
        stored = tmp_path / f"{codec}.pt"
        save_submission(tensors, stored, codec=codec, **about)
        code = "recipe/already-compressed" if codec == "sparse" else "submission/already-quantized"
        with refused(code, stored.name):
            compress(recipe({"method": "fine-tune"}), stored, tmp_path / "small.pt")
        if codec != "sparse":  # zeros in place of a few of its codes would be stored as floats
            with refused(code, stored.name):
                compress(recipe({"method": "weights"}), stored, tmp_path / "small.pt")


def test_a_number_that_is_not_finite_is_found_before_any_step(dense: Path, tmp_path: Path) -> None:
    archive = read_submission(dense)
    name = next(name for name, tensor in archive.tensors.items() if tensor.ndim == 4)
    archive.tensors[name][0] = float("nan")
    detector = archive.manifest.detector
    about = {"detector": detector.name, "arguments": detector.arguments, "categories": archive.manifest.categories}
    save_submission(archive.tensors, tmp_path / "nan.pt", **about)
    for method in ("weights", "share", "filters", "half"):
        with refused("submission/not-finite", f"nan.pt: {name}"):
            compress(recipe({"method": method}), tmp_path / "nan.pt", tmp_path / "small.pt")


def test_the_largest_seed_trains_and_draws(dense: Path, tmp_path: Path) -> None:
    data = str(herd(tmp_path / "photos", images=2))
    steps = recipe(
        {"method": "filters", "importance": "random"},
        {"method": "recalibrate", "images": 2},
        {"method": "fine-tune", "epochs": 0.5, "batch_size": 2},
    )
    compress(steps, dense, tmp_path / "small.pt", dataset=data, seed=2**32 - 1)
    assert read_submission(tmp_path / "small.pt").manifest.parent == sha256_of(dense)


def order(*steps: str) -> Recipe:
    """Steps by name; "filters:head" is of that scope."""
    plain = [step.partition(":") for step in steps]
    named = [{"method": name} | ({"scope": scope} if scope else {}) for name, _, scope in plain]
    return parse_recipe({"summary": "an order", "steps": named}, "r.toml")


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """Its backbone has norms that are trained; its head has none."""
    return _zoo.build(_zoo.SMALL, 2)


@pytest.fixture(scope="module")
def frozen() -> nn.Module:
    model = _zoo.build("fcos_resnet50_fpn", 2)
    assert any(isinstance(module, FrozenBatchNorm2d) for module in model.modules())
    return model


@pytest.mark.parametrize(
    ("steps", "changed"),
    [
        (("filters", "fine-tune", "recalibrate"), "fine-tune"),
        (("distil", "filters", "recalibrate"), "distil"),
        (("filters", "from-scratch", "recalibrate"), "from-scratch"),
        (("filters", "recalibrate", "recalibrate"), "recalibrate"),
        (("filters:all", "weights", "fine-tune", "recalibrate"), "fine-tune"),
    ],
)
def test_narrowed_norms_that_changed_are_not_recalibrated(
    trained: nn.Module, steps: tuple[str, ...], changed: str
) -> None:
    recipe = order(*steps)
    with refused("recipe/norms-changed", f"r.toml: step {len(steps)} (recalibrate): {changed} "):
        check_norms(recipe.steps, recipe.place, trained)


@pytest.mark.parametrize(
    "steps",
    [
        ("filters", "recalibrate", "fine-tune"),
        ("filters", "recalibrate", "filters"),
        ("filters", "weights", "recalibrate"),
        ("weights", "fine-tune", "recalibrate"),
        ("fine-tune", "recalibrate", "filters"),
        ("filters:head", "fine-tune", "recalibrate"),
    ],
)
def test_other_orders_may_be(trained: nn.Module, steps: tuple[str, ...]) -> None:
    recipe = order(*steps)
    check_norms(recipe.steps, recipe.place, trained)


def test_training_leaves_frozen_norms_alone(frozen: nn.Module) -> None:
    recipe = order("filters", "fine-tune", "recalibrate")
    check_norms(recipe.steps, recipe.place, frozen)
    for method in ("from-scratch", "recalibrate"):
        again = order("filters", method, "recalibrate")
        with refused("recipe/norms-changed", f"(recalibrate): {method} "):
            check_norms(again.steps, again.place, frozen)
