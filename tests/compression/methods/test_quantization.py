"""Post-training quantization of whole detectors."""

from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_subjects import detector, step
from refusals import refused
from torch import Tensor, nn

from wildbench.compression.chain import save
from wildbench.compression.methods import _quantization
from wildbench.compression.methods._quantization import Quantize
from wildbench.compression.subject import Subject, prunable
from wildbench.datasets.coco import Dataset
from wildbench.submissions.archive._archive import read_submission, rebuild
from wildbench.submissions.codecs.chains import decode, stored_bits


@pytest.fixture
def image() -> Tensor:
    return torch.rand(3, 96, 128, generator=torch.Generator().manual_seed(4))


def weights(subject: Subject) -> set[str]:
    return {f"{name}.weight" for name in prunable(subject.model, "all")}


def answer(model: nn.Module, image: Tensor) -> Tensor:
    with torch.no_grad():
        scores: Tensor = model([image])[0]["scores"]
    return scores


def test_the_model_is_what_the_file_decodes_to(tmp_path: Path, pictures: Dataset, image: Tensor) -> None:
    subject = step(detector(), "quantize", data=pictures, images=3)
    assert subject.records.keys() == weights(subject)
    assert {record["bits"] for record in subject.records.values()} == {8}
    for name, record in subject.records.items():
        assert torch.equal(subject.model.get_parameter(name), decode(record, name))
    save(subject, tmp_path / "a.pt", parent="0" * 64)
    archive = read_submission(tmp_path / "a.pt")
    assert archive.activations == subject.activations
    assert archive.manifest.activation_bits == 8
    assert all(stored_bits(archive.records[name], name) == 8 for name in weights(subject))
    rebuilt = rebuild(archive, "a.pt")
    assert torch.equal(answer(rebuilt, image), answer(subject.model, image))
    assert archive.manifest.method == subject.history[0]
    assert subject.history[0].startswith(
        "8-bit weights by channel (mse, bias correction of 42 of 54 layers), 8-bit activations (mse, 3 images);"
    )


def test_every_layer_takes_and_gives_grids(pictures: Dataset, image: Tensor) -> None:
    """What enters a layer is on its grid; what leaves it is too, unless it only enters other layers."""
    subject = step(detector(), "quantize", data=pictures, images=2, calibrator="minmax")
    layers = prunable(subject.model, "all")
    assert all(subject.activations[name].input is not None for name in layers)
    assert subject.activations["backbone.body._blocks.1._bn2"].output is not None, "is added to what comes later"
    assert "backbone.body._bn0" not in subject.activations, "only ReLU6 stands between it and the next layer"
    relu = subject.activations["backbone.body._blocks.0._depthwise_conv"].input
    assert relu is not None
    assert relu.zero_point == 0
    assert relu.scale <= 6 / 255 * 1.0001


@pytest.mark.parametrize(("bits", "most"), [(8, 0.1), (4, 0.9)])
def test_errors_are_those_of_the_results(pictures: Dataset, bits: int, most: float) -> None:
    whole = detector()
    subject = step(detector(), "quantize", data=pictures, images=2, weights=bits, activations=None)
    assert not subject.activations
    assert 0 < max(subject.errors.values()) < most
    from wildbench.compression.methods._calibration import calibration_images

    name = "backbone.body._bn0"
    images = calibration_images(pictures, 2)
    before, after = [], []
    for model, kept in ((whole.model, before), (subject.model, after)):
        model.get_submodule(name).register_forward_hook(lambda _, args, out, kept=kept: kept.append(out.clone()))
        for image in images:
            answer(model, image)
    apart = torch.cat([a - b for a, b in zip(after, before, strict=True)]).norm() / torch.cat(before).norm()
    assert subject.errors[name] == pytest.approx(float(apart), rel=0.1)


def test_finer_codes_and_more_bits_leave_less_error(pictures: Dataset) -> None:
    def error(**settings: Any) -> float:
        subject = step(detector(), "quantize", data=pictures, images=2, activations=None, **settings)
        return subject.errors["backbone.body._bn0"]

    errors = [error(weights=8), error(weights=4), error(weights=4, rounding="minmax"), error(weights=3)]
    assert errors == sorted(errors)
    assert errors[1] < errors[2], "a searched scale rounds better than the largest magnitude"


def test_corrected_biases_leave_less_error(pictures: Dataset) -> None:
    plain, corrected = (
        step(detector(), "quantize", data=pictures, images=2, weights=4, activations=None, correct=correct).errors
        for correct in (False, True)
    )
    assert sum(corrected.values()) < 0.9 * sum(plain.values())


@pytest.mark.parametrize(
    ("settings", "floats"),
    [
        ({"keep": "outputs"}, lambda name: name.split(".")[-2] in ("cls_logits", "bbox_reg", "bbox_ctrness")),
        ({"keep": "head"}, lambda name: name.startswith("head.")),
        ({"scope": "head"}, lambda name: not name.startswith("head.")),
    ],
)
def test_what_is_kept_is_float(pictures: Dataset, settings: dict[str, Any], floats: Any) -> None:
    before, subject = detector(), detector()
    step(subject, "quantize", data=pictures, images=1, rest="raw", **settings)
    kept = {name for name in weights(subject) if floats(name)}
    assert kept
    assert subject.records.keys() == weights(subject) - kept
    for name in kept:
        layer = name.removesuffix(".weight")
        assert layer not in subject.activations
        if name.startswith("head."):
            assert torch.equal(subject.model.get_parameter(name), before.model.get_parameter(name))


def test_pruned_weights_stay_pruned(pictures: Dataset) -> None:
    subject = step(detector(), "weights", ratio=0.5, scope="all")
    zeros = {name: subject.model.get_parameter(name) == 0 for name in weights(subject)}
    step(subject, "quantize", data=pictures, images=1)
    assert all((subject.model.get_parameter(name)[zero] == 0).all() for name, zero in zeros.items())


def test_norms_may_stay(pictures: Dataset) -> None:
    before, subject = detector(), detector()
    step(subject, "quantize", data=pictures, images=1, fold=False, correct=False, rest="raw", activations=None)
    for name, tensor in before.model.state_dict().items():
        if name not in subject.records:
            assert torch.equal(tensor, subject.model.state_dict()[name])


def test_a_correction_is_told_where_there_was_one(pictures: Dataset) -> None:
    def told(**settings: Any) -> str:
        return step(detector(), "quantize", data=pictures, images=1, activations=None, **settings).history[0]

    layers = len(prunable(detector().model, "all"))
    biased = sum(layer.bias is not None for layer in prunable(detector().model, "all").values())
    assert 0 < biased < 42 < layers, "folded norms have a bias, too"
    assert told().startswith(f"8-bit weights by channel (mse, bias correction of 42 of {layers} layers);")
    assert told(correct=False).startswith("8-bit weights by channel (mse);")
    said = f"8-bit weights by channel (mse, bias correction of {biased} of {layers} layers);"
    assert told(fold=False).startswith(said)
    assert _quantization.phrase(Quantize(), {}, corrected=0, layers=5).startswith("8-bit weights by channel (mse), ")
    assert "(mse, bias correction), " in _quantization.phrase(Quantize(), {}, corrected=5, layers=5)


def test_half_precision_is_what_is_stored(tmp_path: Path, image: Tensor) -> None:
    before, subject = detector(), step(detector(), "half")
    for name, tensor in before.model.state_dict().items():
        same = not tensor.is_floating_point() or name.endswith("running_var")
        assert torch.equal(subject.model.state_dict()[name], tensor if same else tensor.half().float()), name
    save(subject, tmp_path / "a.pt", parent="0" * 64)
    archive = read_submission(tmp_path / "a.pt")
    assert torch.equal(answer(rebuild(archive, "a.pt"), image), answer(subject.model, image))
    parameters = sum(parameter.numel() for parameter in subject.model.parameters())
    assert (tmp_path / "a.pt").stat().st_size < 2 * parameters + 30_000


def test_what_cannot_be_done_is_one_line(pictures: Dataset) -> None:
    with refused("recipe/no-images", "none: "):
        step(detector(), "quantize")
    with refused("recipe/nothing-to-quantize"):
        step(detector(), "quantize", data=pictures, scope="head", keep="head")
    broken = detector()
    with torch.no_grad():
        broken.model.get_parameter("backbone.body._conv_stem.weight")[0] = float("nan")
    with refused("recipe/not-finite"):
        step(broken, "quantize", data=pictures, images=1)
    for wrong in ({"weights": 1}, {"weights": 9}, {"activations": 1}, {"percentile": 40.0}, {"keep": "all"}):
        with refused("recipe/invalid", f"(quantize): {next(iter(wrong))}"):
            step(detector(), "quantize", data=pictures, **wrong)
