"""Each form of boxes against torchvision and the detectors' published formulas, and there and back again."""

import numpy as np
import pytest
import torch
import torchvision
from refusals import refused
from torchvision.models.detection._utils import BoxLinearCoder

from wildbench.errors import WrongOutput
from wildbench.submissions.decode._corners import Grid, corners, grid, sigmoid, softmax
from wildbench.submissions.output import Boxes, Levels

LEVELS = Levels(strides=(8, 16, 32))
ANCHORS = Levels(strides=(8, 16), anchors=(((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119))))
CANVAS = (96, 160)


def random_columns(count: int, width: int = 4, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (count, width)).astype(np.float32)


def cells_of(levels: Levels, canvas: tuple[int, int] = CANVAS) -> Grid:
    repeats = len(levels.anchors[0]) if levels.anchors else 1
    count = sum(repeats * (canvas[0] // stride) * (canvas[1] // stride) for stride in levels.strides)
    return grid(levels, canvas, count)


@pytest.mark.parametrize("form", ["cxcywh", "xywh", "xyxy"])
def test_plain_forms_are_torchvisions(form: str) -> None:
    boxes = np.abs(random_columns(50)) * 100
    expected = torchvision.ops.box_convert(torch.from_numpy(boxes), form, "xyxy")
    np.testing.assert_allclose(corners(Boxes(form=form), boxes, CANVAS), expected, rtol=1e-6, atol=1e-5)


def test_yyxx_is_turned_and_fractions_are_of_width_and_height() -> None:
    boxes = np.array([[0.25, 0.125, 0.5, 1]], np.float32)
    assert corners(Boxes(form="yxyx", unit="fractions"), boxes, (64, 80)).tolist() == [[10, 16, 80, 32]]


def test_cells_are_a_unit_of_raw_heads() -> None:
    cells = cells_of(Levels(strides=(8, 16)), (16, 16))
    boxes = np.ones((5, 4), np.float32)
    found = corners(Boxes(form="xywh", unit="cells"), boxes, (16, 16), cells)
    assert found.tolist() == [[8, 8, 16, 16]] * 4 + [[16, 16, 32, 32]]


def test_a_grid_runs_level_by_level_anchor_by_anchor_row_by_row() -> None:
    """As `meshgrid` with the axes of a tensor [A, H, W] in order."""
    found = cells_of(ANCHORS, (32, 48))
    cells, strides, anchors = [], [], []
    for stride, shapes in zip(ANCHORS.strides, ANCHORS.anchors or (), strict=True):
        for shape in shapes:
            for row in range(32 // stride):
                for column in range(48 // stride):
                    cells.append([column, row])
                    strides.append([stride])
                    anchors.append(list(shape))
    assert (found.cells.tolist(), found.strides.tolist(), found.anchors.tolist()) == (cells, strides, anchors)


def test_a_grid_has_the_cells_that_fit_or_those_of_a_padded_input() -> None:
    levels = Levels(strides=(32, 64))
    assert len(grid(levels, (416, 416), 13 * 13 + 6 * 6).cells) == 205
    assert grid(levels, (416, 416), 13 * 13 + 7 * 7).cells[-1].tolist() == [6, 6]
    with refused("detector/shape", "206", kind=WrongOutput):
        grid(levels, (416, 416), 206)


def test_yolov5_is_ultralytics() -> None:
    """`Detect.forward` of YOLOv5 (models/yolo.py) on [1, A, H, W, 4]."""
    expected, raw = [], []
    for stride, shapes in zip(ANCHORS.strides, ANCHORS.anchors or (), strict=True):
        ny, nx = CANVAS[0] // stride, CANVAS[1] // stride
        y, x = torch.meshgrid(torch.arange(ny), torch.arange(nx), indexing="ij")
        cell = torch.stack((x, y), 2).expand(1, 3, ny, nx, 2) - 0.5
        anchor = torch.tensor(shapes).view(1, 3, 1, 1, 2)
        values = torch.from_numpy(random_columns(3 * ny * nx, seed=stride)).view(1, 3, ny, nx, 4)
        xy, wh = values.sigmoid().split((2, 2), 4)
        decoded = torch.cat([(xy * 2 + cell) * stride, (wh * 2) ** 2 * anchor], 4)
        expected.append(torchvision.ops.box_convert(decoded.view(-1, 4), "cxcywh", "xyxy"))
        raw.append(values.view(-1, 4))
    found = corners(Boxes(form="yolov5"), torch.cat(raw).numpy(), CANVAS, cells_of(ANCHORS))
    np.testing.assert_allclose(found, torch.cat(expected), rtol=1e-5, atol=1e-4)


def test_distributions_are_generalized_focal_losss() -> None:
    """`Integral` and `distance2bbox` of GFL (mmdet), as NanoDet and PicoDet have them."""
    cells = cells_of(LEVELS)
    raw = torch.from_numpy(random_columns(len(cells.cells), 32) * 3)
    distances = torch.nn.functional.linear(raw.view(-1, 8).softmax(1), torch.arange(8.0).view(1, 8)).view(-1, 4)
    for offset in (0.0, 0.5):
        points = (torch.from_numpy(cells.cells) + offset) * torch.from_numpy(cells.strides)
        scaled = distances * torch.from_numpy(cells.strides)
        expected = torch.cat([points - scaled[:, :2], points + scaled[:, 2:]], 1)
        found = corners(Boxes(form="distribution"), raw.numpy(), CANVAS, cells, offset)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_ltrb_in_cells_is_torchvisions_fcos() -> None:
    """`BoxLinearCoder` on anchors of the stride's size around each point."""
    cells = cells_of(LEVELS)
    raw = np.abs(random_columns(len(cells.cells)))
    points = (cells.cells + 0.5) * cells.strides
    anchors = torch.from_numpy(np.concatenate([points - cells.strides / 2, points + cells.strides / 2], 1))
    expected = BoxLinearCoder(normalize_by_size=True).decode(torch.from_numpy(raw), anchors.float())
    found = corners(Boxes(form="ltrb", unit="cells"), raw, CANVAS, cells)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(corners(Boxes(form="ltrb"), raw * cells.strides, CANVAS, cells), found, atol=1e-4)


def test_fastestdet_is_its_authors() -> None:
    """`handle_preds` of FastestDet (utils/tool.py), whose boxes are fractions."""
    levels = Levels(strides=(16,))
    cells = cells_of(levels)
    height, width = CANVAS[0] // 16, CANVAS[1] // 16
    raw = torch.from_numpy(random_columns(height * width)).view(height, width, 4)
    gy, gx = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    bw, bh = raw[..., 2].sigmoid(), raw[..., 3].sigmoid()
    bcx, bcy = (raw[..., 0].tanh() + gx) / width, (raw[..., 1].tanh() + gy) / height
    fractions = torch.stack([bcx - 0.5 * bw, bcy - 0.5 * bh, bcx + 0.5 * bw, bcy + 0.5 * bh], 2).view(-1, 4)
    expected = fractions * torch.tensor([160, 96, 160, 96])
    found = corners(Boxes(form="fastestdet"), raw.view(-1, 4).numpy(), CANVAS, cells)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def logit(values: np.ndarray) -> np.ndarray:
    return np.log(values / (1 - values))


def encoded(form: str, boxes: np.ndarray, at: Grid) -> np.ndarray:
    """The columns that a network must answer for these boxes, by the inverse of each formula."""
    centre, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    frame = np.array([CANVAS[1], CANVAS[0]])
    points = (at.cells + 0.5) * at.strides
    shift = centre / at.strides - at.cells
    columns = {
        "xyxy": lambda: boxes,
        "yxyx": lambda: boxes[:, [1, 0, 3, 2]],
        "cxcywh": lambda: np.hstack([centre, sides]),
        "xywh": lambda: np.hstack([boxes[:, :2], sides]),
        "yolox": lambda: np.hstack([shift, np.log(sides / at.strides)]),
        "yolov3": lambda: np.hstack([logit(shift), np.log(sides / at.anchors)]),
        "yolov5": lambda: np.hstack([logit((shift + 0.5) / 2), logit(np.sqrt(sides / at.anchors) / 2)]),
        "fastestdet": lambda: np.hstack([np.arctanh(shift), logit(sides / frame)]),
        "ltrb": lambda: np.hstack([points - boxes[:, :2], boxes[:, 2:] - points]),
    }
    return columns[form]().astype(np.float32)


@pytest.mark.parametrize("form", ["xyxy", "yxyx", "cxcywh", "xywh", "yolox", "yolov3", "yolov5", "fastestdet", "ltrb"])
@pytest.mark.parametrize("seed", range(3))
def test_every_form_comes_back_from_its_inverse(form: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    at = cells_of(ANCHORS)
    centre = (at.cells + random.uniform(0.05, 0.95, at.cells.shape)) * at.strides
    sides = at.anchors * random.uniform(0.3, 1.2, at.anchors.shape)
    sides = np.minimum(sides, np.array([CANVAS[1], CANVAS[0]]) * 0.95)
    boxes = np.hstack([centre - sides / 2, centre + sides / 2])
    found = corners(Boxes(form=form), encoded(form, boxes, at), CANVAS, at)
    np.testing.assert_allclose(found, boxes, rtol=1e-4, atol=2e-3)


def test_an_overflowing_side_is_infinite() -> None:
    found = corners(
        Boxes(form="yolox"), np.full((1, 4), 1e9, np.float32), CANVAS, grid(Levels(strides=(96,)), (96, 96), 1)
    )
    assert np.isinf(found).any()


def test_sigmoid_and_softmax_are_torchs() -> None:
    logits = random_columns(20, 5) * 20
    torch_logits = torch.from_numpy(logits)
    np.testing.assert_allclose(sigmoid(logits), torch_logits.sigmoid(), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(softmax(logits), torch_logits.softmax(1), rtol=1e-5, atol=1e-9)
