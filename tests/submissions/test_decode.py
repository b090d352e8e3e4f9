import numpy as np
import pytest
import torch
import torchvision
from refusals import refused
from small_networks import manifest

from wildbench.errors import WrongOutput
from wildbench.submissions.decode import decode, nms

YOLOX = {"kind": "yolox", "strides": [8, 16], "score_threshold": 0.25, "nms_iou": None, "max_detections": 100}
YOLOV8 = {"kind": "yolov8", "score_threshold": 0.25, "nms_iou": 0.5, "max_detections": 100}
DETR = {"kind": "detr", "activation": "softmax", "score_threshold": 0.0, "nms_iou": None, "max_detections": 100}


def random_boxes(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    corners = random.uniform(0, 300, (count, 2))
    return np.concatenate([corners, corners + random.uniform(5, 150, (count, 2))], axis=1).astype(np.float32)


@pytest.mark.parametrize("iou", [0.0, 0.3, 0.65, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_nms_is_torchvisions(iou: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    boxes, scores = random_boxes(400, seed), random.permutation(400).astype(np.float32) / 400
    labels = random.integers(1, 6, 400)
    expected = torchvision.ops.batched_nms(*map(torch.from_numpy, (boxes, scores, labels)), iou)
    assert nms(boxes, scores, labels, iou).tolist() == expected.tolist()


def test_nms_keeps_the_first_of_equals() -> None:
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [50, 50, 60, 60]], np.float32)
    assert nms(boxes, np.array([0.5, 0.5, 0.0], np.float32), np.ones(3, np.int64), 0.5).tolist() == [0, 2]
    assert nms(boxes[:0], np.empty(0, np.float32), np.empty(0, np.int64), 0.5).tolist() == []


def yolox_output(**cells: list[float]) -> np.ndarray:
    """16 x 24 pixels: level one has 2 x 3 cells, level two 1 x 1; all silent but those named c0, c1, ..."""
    raw = np.zeros((1, 7, 7), np.float32)
    for name, values in cells.items():
        raw[0, int(name[1:])] = values
    return raw


def test_yolox_by_hand() -> None:
    # cell 5 is row 1, column 2 of stride 8; cell 6 is the only one of stride 16
    raw = yolox_output(c5=[0.5, -0.25, 0, np.log(2), 0.8, 0.1, 0.9], c6=[0.5, 0.5, 0, 0, 0.5, 0.6, 0.2])
    found = decode(manifest(output=YOLOX), {"output": raw}, (16, 24))
    assert found.labels.tolist() == [2, 1]
    np.testing.assert_allclose(found.scores, [0.72, 0.3], rtol=1e-6)
    # centre (2.5, 0.75) x 8 = (20, 6), sides 8 x 16; centre (0.5, 0.5) x 16 = (8, 8), sides 16 x 16
    np.testing.assert_allclose(found.boxes, [[16, -2, 24, 14], [0, 0, 16, 16]], rtol=1e-6)
    assert found.masks is None


def megvii_postprocess(raw: np.ndarray, size: tuple[int, int], strides: list[int]) -> np.ndarray:
    """`demo_postprocess` of YOLOX (yolox/utils/demo_utils.py), with its corners."""
    grids, expanded = [], []
    for stride in strides:
        hsize, wsize = size[0] // stride, size[1] // stride
        xv, yv = np.meshgrid(np.arange(wsize), np.arange(hsize))
        grid = np.stack((xv, yv), 2).reshape(1, -1, 2)
        grids.append(grid)
        expanded.append(np.full((*grid.shape[:2], 1), stride))
    outputs = raw.copy()
    outputs[..., :2] = (outputs[..., :2] + np.concatenate(grids, 1)) * np.concatenate(expanded, 1)
    outputs[..., 2:4] = np.exp(outputs[..., 2:4]) * np.concatenate(expanded, 1)
    x, y, w, h = (outputs[0, :, axis] for axis in range(4))
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)


@pytest.mark.parametrize("multi_label", [True, False])
def test_yolox_is_megviis(multi_label: bool) -> None:
    random = np.random.default_rng(7)
    raw = random.normal(0, 0.5, (1, 32 * 20 + 16 * 10 + 8 * 5, 7)).astype(np.float32)
    raw[..., 4:] = random.uniform(0, 1, raw[..., 4:].shape)
    contract = YOLOX | {"strides": [8, 16, 32], "nms_iou": 0.65, "max_detections": 1000, "multi_label": multi_label}
    found = decode(manifest(output=contract), {"o": raw}, (256, 160))
    every = torch.from_numpy(megvii_postprocess(raw, (256, 160), [8, 16, 32])).float()
    products = torch.from_numpy(raw[0, :, 4:5] * raw[0, :, 5:])
    if multi_label:
        rows, columns = torch.nonzero(products >= 0.25, as_tuple=True)
    else:
        best = products.max(dim=1)
        rows = torch.nonzero(best.values >= 0.25)[:, 0]
        columns = best.indices[rows]
    keep = torchvision.ops.batched_nms(every[rows], products[rows, columns], columns, 0.65)
    assert found.labels.tolist() == (columns[keep] + 1).tolist()
    np.testing.assert_array_equal(found.scores, products[rows, columns][keep])
    np.testing.assert_allclose(found.boxes, every[rows][keep], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("transposed", [False, True])
def test_yolov8_by_hand_both_ways_round(transposed: bool) -> None:
    rows = [[50, 40, 20, 10, 0.9, 0.0], [51, 40, 20, 10, 0.8, 0.3], [50, 40, 20, 10, 0.2, 0.1]]
    raw = np.array([rows], np.float32)
    found = decode(
        manifest(output=YOLOV8 | {"transposed": transposed}),
        {"o": raw if transposed else raw.transpose(0, 2, 1)},
        (64, 96),
    )
    assert found.labels.tolist() == [1, 2]  # the second row's zebra overlaps a better zebra
    np.testing.assert_allclose(found.scores, [0.9, 0.3], rtol=1e-6)
    assert found.boxes.tolist() == [[40, 35, 60, 45], [41, 35, 61, 45]]


def test_yolov8_best_class_only() -> None:
    raw = np.array([[[50, 40, 20, 10, 0.9, 0.8]]], np.float32)
    contract = YOLOV8 | {"transposed": True, "multi_label": False}
    assert decode(manifest(output=contract), {"o": raw}, (64, 96)).labels.tolist() == [1]


def test_detr_softmax_is_the_reference_postprocessor() -> None:
    """`PostProcess.forward` of DETR (models/detr.py)."""
    random = torch.Generator().manual_seed(3)
    logits, boxes = torch.randn(1, 40, 3, generator=random), torch.rand(1, 40, 4, generator=random)
    scores, labels = torch.nn.functional.softmax(logits, -1)[..., :-1].max(-1)
    corners = torchvision.ops.box_convert(boxes, "cxcywh", "xyxy") * torch.tensor([640, 480, 640, 480])
    order = scores[0].argsort(descending=True, stable=True)
    found = decode(manifest(output=DETR), {"logits": logits.numpy(), "pred_boxes": boxes.numpy()}, (480, 640))
    assert found.labels.tolist() == (labels[0, order] + 1).tolist()
    np.testing.assert_allclose(found.scores, scores[0, order], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, corners[0, order], rtol=1e-5, atol=1e-3)


def test_detr_sigmoid_is_the_reference_postprocessor() -> None:
    """`PostProcess.forward` of Deformable DETR (models/deformable_detr.py): the best pairs of query and category."""
    random = torch.Generator().manual_seed(4)
    logits, boxes = torch.randn(1, 40, 2, generator=random), torch.rand(1, 40, 4, generator=random)
    values, indexes = torch.topk(logits.sigmoid().view(1, -1), 25, dim=1)
    corners = torchvision.ops.box_convert(boxes, "cxcywh", "xyxy")[0, indexes[0] // 2] * torch.tensor(
        [640, 480, 640, 480]
    )
    contract = DETR | {"activation": "sigmoid", "max_detections": 25}
    found = decode(manifest(output=contract), {"a": logits.numpy(), "b": boxes.numpy()}, (480, 640))
    assert found.labels.tolist() == (indexes[0] % 2 + 1).tolist()
    np.testing.assert_allclose(found.scores, values[0], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, corners, rtol=1e-5, atol=1e-3)


def test_extreme_logits_give_scores_of_zero_and_one() -> None:
    logits, boxes = np.array([[[-1e4, 1e4]]], np.float32), np.full((1, 1, 4), 0.5, np.float32)
    found = decode(manifest(output=DETR | {"activation": "sigmoid"}), {"a": logits, "b": boxes}, (10, 10))
    assert found.scores.tolist() == [1, 0]


def torchvision_outputs(**changes: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "boxes": np.array([[0, 0, 5, 5], [1, 1, 2, 2]], np.float32),
        "labels": np.array([2, 1]),
        "scores": np.array([0.9, 0.8], np.float32),
    } | changes


def test_torchvision_outputs_are_taken_by_name_or_by_order() -> None:
    named = torchvision_outputs()
    shuffled = {name: named[name] for name in ("scores", "boxes", "labels")}
    ordered = {f"output {at}": values for at, values in enumerate(named.values())}
    batched = {name: values[None] for name, values in named.items()}
    narrow = torchvision_outputs(labels=np.array([2, 1], np.int32))
    for outputs in (named, shuffled, ordered, batched, narrow):
        found = decode(manifest(), outputs, (10, 10))
        assert found.boxes.tolist() == [[0, 0, 5, 5], [1, 1, 2, 2]]
        assert found.labels.tolist() == [2, 1]
        assert found.labels.dtype == np.int64
        np.testing.assert_allclose(found.scores, [0.9, 0.8])
        assert found.masks is None


def test_torchvision_masks_lose_their_channel() -> None:
    masks = np.random.default_rng(0).random((2, 1, 10, 12), np.float32)
    found = decode(manifest(), torchvision_outputs(masks=masks), (10, 12))
    np.testing.assert_array_equal(found.masks, masks[:, 0])


@pytest.mark.parametrize("kind", ["torchvision", "yolox", "yolov8", "detr"])
def test_categories_that_are_not_mapped_are_dropped(kind: str) -> None:
    outputs, canvas = {
        "torchvision": (torchvision_outputs(), (10, 10)),
        "yolox": ({"o": yolox_output(c5=[0, 0, 0, 0, 1, 0.9, 0.8], c6=[0, 0, 0, 0, 1, 0.9, 0.1])}, (16, 24)),
        "yolov8": ({"o": np.array([[[5, 5, 2, 2, 0.9, 0.8], [5, 5, 2, 2, 0.9, 0.1]]], np.float32)}, (10, 10)),
        "detr": (
            {"l": np.array([[[3, 2, 0], [0, 3, 0]]], np.float32), "b": np.full((1, 2, 4), 0.5, np.float32)},
            (10, 10),
        ),
    }[kind]
    contract = {"yolox": YOLOX, "yolov8": YOLOV8 | {"transposed": True}, "detr": DETR}.get(kind, {"kind": kind})
    whole = decode(manifest(output=contract), outputs, canvas)
    mapped = decode(manifest(output=contract, category_map={"lion": "simba"}), outputs, canvas)
    assert set(whole.labels.tolist()) == {1, 2}
    assert set(mapped.labels.tolist()) == {2}


def test_the_best_detections_are_kept_after_suppression() -> None:
    raw = np.array([[[10, 10, 8, 8, 0.5, 0], [10, 10, 8, 8, 0.9, 0], [40, 40, 8, 8, 0.7, 0]]], np.float32)
    contract = YOLOV8 | {"transposed": True, "max_detections": 2}
    assert decode(manifest(output=contract), {"o": raw}, (64, 64)).boxes.tolist() == [[6, 6, 14, 14], [36, 36, 44, 44]]


NOTHING = np.zeros((1, 7, 7), np.float32)


@pytest.mark.parametrize(
    ("contract", "outputs", "code"),
    [
        (YOLOX, {"out": np.zeros((1, 9, 7), np.float32)}, "shape"),
        (YOLOX, {"out": np.zeros((1, 7, 85), np.float32)}, "shape"),
        (YOLOX, {"out": np.zeros((2, 7, 7), np.float32)}, "shape"),
        (YOLOX, {"out": np.zeros(7, np.float32)}, "shape"),
        (YOLOX, {}, "outputs"),
        (YOLOX, {"out": np.where(NOTHING == 0, np.nan, 0)}, "not-finite"),
        (YOLOX, {"out": NOTHING + np.array([0, 0, 1e9, 0, 1, 1, 1], np.float32)}, "not-finite"),
        (YOLOV8, {"out": np.zeros((1, 7, 50), np.float32)}, "shape"),
        (YOLOV8 | {"transposed": True}, {"out": np.zeros((1, 6, 50), np.float32)}, "shape"),
        (DETR, {"logits": np.zeros((1, 5, 3), np.float32)}, "outputs"),
        (DETR, {"l": np.zeros((1, 5, 2), np.float32), "b": np.zeros((1, 5, 4))}, "shape"),
        (DETR, {"l": np.zeros((1, 5, 3), np.float32), "b": np.zeros((1, 4, 4))}, "shape"),
        (DETR, {"l": np.full((1, 5, 3), np.nan), "b": np.zeros((1, 5, 4))}, "not-finite"),
        ({"kind": "torchvision"}, {"boxes": np.zeros((1, 4))}, "outputs"),
        ({"kind": "torchvision"}, torchvision_outputs(boxes=np.zeros((3, 4))), "shape"),
        ({"kind": "torchvision"}, torchvision_outputs(boxes=np.full((2, 4), np.nan)), "not-finite"),
        ({"kind": "torchvision"}, torchvision_outputs(labels=np.array([1, 1.5])), "invalid-labels"),
        ({"kind": "torchvision"}, torchvision_outputs(labels=np.ones(3, np.int64)), "shape"),
        ({"kind": "torchvision"}, torchvision_outputs(scores=np.full(2, np.inf)), "not-finite"),
        (
            {"kind": "torchvision"},
            torchvision_outputs(masks=np.zeros((2, 1, 9, 9))),
            "shape",
        ),
    ],
)
def test_each_wrong_output_is_named(contract: dict, outputs: dict, code: str) -> None:
    with refused(f"detector/{code}", kind=WrongOutput):
        decode(manifest(output=contract), outputs, (16, 24))
