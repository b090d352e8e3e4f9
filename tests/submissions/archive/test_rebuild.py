"""Structurally pruned detectors: channels removed by hand, saved, and rebuilt from the stored shapes alone."""

from pathlib import Path

import pytest
import torch
from refusals import refused
from torch import nn

from wildbench.detectors.zoo import _zoo
from wildbench.submissions.archive._archive import read_submission, rebuild, save_submission
from wildbench.submissions.archive._rebuild import fits, groups_of, narrow, try_out
from wildbench.submissions.inspection import inspect_submission
from wildbench.submissions.process import open_submission

State = dict[str, torch.Tensor]
SSDLITE, FCOS, FASTER = "ssdlite320_mobilenet_v3_large", "fcos_efficientnet_lite0_fpn", "fasterrcnn_resnet50_fpn"
ARGUMENTS = {
    SSDLITE: {"score_thresh": 0.001},
    FCOS: {"blocks": 12, "channels": 16, "depth": 1, "min_size": 96, "max_size": 128, "score_thresh": 0.0},
    FASTER: {"min_size": 64, "max_size": 96, "box_score_thresh": 0.0},
}
BLOCK = "backbone.features.0.2.block."
LITE = "backbone.body._blocks.1."
TOWER = "head.classification_head.conv.0."
RESIDUAL = "backbone.body.layer1.0."

CUTS = {
    SSDLITE: {
        BLOCK: (40, ["0.0", "0.1", "1.0", "1.1"], ["2.0"]),
        "backbone.features.0.4.block.": (48, ["0.0", "0.1", "1.0", "1.1", "2.fc2"], ["2.fc1", "3.0"]),
    },
    FCOS: {
        LITE: (56, ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1"], ["_project_conv"]),
        "head.classification_head.": (8, ["conv.0.1", "conv.0.2"], ["cls_logits"]),  # a whole group of the two
    },
    FASTER: {
        RESIDUAL: (24, ["conv1", "bn1"], ["conv2"]),
        "roi_heads.box_head.": (640, ["fc6"], ["fc7"]),
    },
}
"""By detector and part of it: channels to keep, layers that make them or pass them on, layers that read them."""


@pytest.fixture(scope="module", params=CUTS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module, State]:
    """A detector in which some channels are read by nobody, and its state dict without them, saved too."""
    torch.manual_seed(3)
    name: str = request.param
    model = _zoo.build(name, 2, **ARGUMENTS[name]).eval()
    state = dict(model.state_dict())
    for part, (keep, made, read) in CUTS[name].items():
        for layer in read:
            state[f"{part}{layer}.weight"][:, keep:] = 0
        for key in [key for key in state if key.startswith(part)]:
            layer = key.removeprefix(part).rpartition(".")[0]
            if layer in made and state[key].dim():
                state[key] = state[key][:keep].clone()
            if layer in read and key.endswith("weight"):
                state[key] = state[key][:, :keep].clone()
    path = tmp_path_factory.mktemp(name) / "narrow.pt"
    save_submission(state, path, **keys(name))
    return path, model, state


def keys(name: str) -> dict:
    return {"detector": name, "categories": ["zebra", "lion"], "arguments": ARGUMENTS[name]}


def photograph() -> torch.Tensor:
    return torch.rand(3, 96, 128, generator=torch.Generator().manual_seed(1))


def test_a_narrowed_detector_answers_as_the_full_one_whose_channels_nobody_reads(
    pair: tuple[Path, nn.Module, State],
) -> None:
    path, model, state = pair
    opened = open_submission(path).module
    assert isinstance(opened, nn.Module)
    shapes = {key: values.shape for key, values in state.items()}
    assert {key: values.shape for key, values in opened.state_dict().items()} == shapes
    with torch.inference_mode():
        (expected,), (found,) = model([photograph()]), opened([photograph()])
    assert len(expected["scores"])
    for key, values in expected.items():
        torch.testing.assert_close(found[key], values, rtol=1e-3, atol=1e-3)
    parameters = sum(parameter.numel() for parameter in opened.parameters())
    assert inspect_submission(path).parameters == parameters
    assert parameters < sum(parameter.numel() for parameter in model.parameters())
    check_layers(opened)


def check_layers(model: nn.Module) -> None:
    """Each layer knows its own width."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            rows = module.weight.shape
            assert (module.out_channels, module.in_channels) == (rows[0], rows[1] * module.groups)
            assert module.groups in (1, module.in_channels)
        elif isinstance(module, nn.Linear):
            assert (module.out_features, module.in_features) == module.weight.shape
        elif isinstance(module, nn.BatchNorm2d):
            assert module.num_features == len(module.weight)
        elif isinstance(module, nn.GroupNorm):
            assert module.num_channels == len(module.weight) == 8 * module.num_groups


def test_a_channel_that_is_read_but_no_longer_made_is_noticed_when_saved_and_when_opened(tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = dict(_zoo.build(SSDLITE, 2, **ARGUMENTS[SSDLITE]).state_dict())
    for layer in ("0.0", "0.1"):
        for key in [key for key in state if key.startswith(BLOCK + layer) and state[key].dim()]:
            state[key] = state[key][:40]
    with refused("submission/widths"):
        save_submission(state, tmp_path / "a.pt", **keys(SSDLITE))
    assert not (tmp_path / "a.pt").exists()
    manifest = {"name": "a", "detector": {"name": SSDLITE}, "categories": ["zebra", "lion"]}
    records = {key: {"codec": "raw", "values": values.contiguous().clone()} for key, values in state.items()}
    content = {"format": "wildbench-submission", "version": 1, "manifest": manifest, "state_dict": records}
    torch.save(content, tmp_path / "a.pt")
    with refused("submission/widths"):
        open_submission(tmp_path / "a.pt")


@pytest.mark.parametrize("change", [1, -1])
def test_outputs_are_not_narrowed_to_another_number_of_categories(tmp_path: Path, change: int) -> None:
    torch.manual_seed(3)
    model = _zoo.build(FASTER, 3 + change, **ARGUMENTS[FASTER])
    with refused("submission/tensors"):
        save_submission(model, tmp_path / "a.pt", **keys(FASTER) | {"categories": ["a", "b", "c"]})


def test_groups_that_no_shape_tells_are_kept_in_the_file(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = _zoo.build(FCOS, 2, **ARGUMENTS[FCOS]).eval()
    tower, keep = model.head.classification_head, 8
    tower.conv[0][1] = nn.Conv2d(16, keep, 1, bias=False)
    tower.conv[0][2] = nn.GroupNorm(4, keep)
    tower.cls_logits = nn.Conv2d(keep, 3, 3, padding=1)
    save_submission(model, tmp_path / "a.pt", **keys(FCOS))
    archive = read_submission(tmp_path / "a.pt")
    assert archive.groups == {f"{TOWER}2": 4}
    with torch.inference_mode():
        (expected,), (found,) = model([photograph()]), rebuild(archive, "a.pt")([photograph()])
    assert all(torch.equal(found[key], values) for key, values in expected.items())


def test_channels_that_do_not_divide_into_groups_are_refused(tmp_path: Path) -> None:
    state = dict(_zoo.build(FCOS, 2, **ARGUMENTS[FCOS]).state_dict())
    state |= {f"{TOWER}1.weight": torch.zeros(13, 16, 1, 1), f"{TOWER}2.weight": torch.ones(13)}
    state |= {f"{TOWER}2.bias": torch.ones(13), "head.classification_head.cls_logits.weight": torch.zeros(3, 13, 3, 3)}
    save_submission(state, tmp_path / "a.pt", **keys(FCOS))  # one group of thirteen will do
    full = {f"{TOWER}2": (2, 16)}
    assert groups_of(rebuild(read_submission(tmp_path / "a.pt"), "a.pt"), full) == {}
    grouped = nn.Sequential(nn.GroupNorm(4, 16))
    with pytest.raises(ValueError, match="9 channels in 2 groups"):
        narrow(grouped, {"0.weight": (9,), "0.bias": (9,)}, {})


@pytest.mark.parametrize(
    ("layer", "shapes", "image"),
    [
        (nn.Conv2d(8, 16, 3, groups=2), {"weight": (6, 4, 3, 3), "bias": (6,)}, (1, 8, 5, 5)),
        (nn.Conv2d(8, 16, 3, groups=8), {"weight": (10, 1, 3, 3), "bias": (10,)}, (1, 5, 5, 5)),
        (nn.ConvTranspose2d(8, 6, 2), {"weight": (5, 4, 2, 2), "bias": (4,)}, (1, 5, 3, 3)),
        (nn.Linear(8, 6), {"weight": (3, 5), "bias": (3,)}, (2, 5)),
    ],
    ids=["grouped", "depthwise, two filters a channel", "transposed", "linear"],
)
def test_each_kind_of_layer_runs_in_its_new_width(layer: nn.Module, shapes: dict, image: tuple[int, ...]) -> None:
    model = nn.Sequential(layer)
    narrow(model, {f"0.{name}": shape for name, shape in shapes.items()}, {})
    out = model(torch.ones(image))
    assert out.shape[1] == shapes["bias"][0]
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_only_channels_may_be_missing() -> None:
    full = (16, 8, 3, 3)
    assert all(fits(shape, full, full) for shape in (full, (1, 8, 3, 3), (16, 4, 3, 3), (3, 2, 3, 3)))
    for shape in ((16, 8, 1, 1), (17, 8, 3, 3), (0, 8, 3, 3), (16, 8), (16, 8, 3, 3, 1)):
        assert not fits(shape, full, full)
    assert not fits((12, 8, 3, 3), full, (18, 8, 3, 3)), "sixteen outputs follow from the categories"


def test_a_narrowed_detector_without_torchvisions_transform_is_refused() -> None:
    with refused("submission/widths"):
        try_out(nn.Identity(), "a.pt")
