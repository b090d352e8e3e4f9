import cv2
import numpy as np
import pytest
from torchvision.transforms import functional as transforms

from wildbench.submissions.feed import resolve
from wildbench.submissions.formats import Port, Signature
from wildbench.submissions.input import InputContract
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.preprocess import Preprocessor, masks_to_image, place, to_image

SIZES = [(480, 640), (640, 480), (255, 255), (1, 1), (7, 900), (333, 500)]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def megvii_preproc(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`preproc` of YOLOX (yolox/data/data_augment.py), on a BGR image."""
    padded = np.ones((size[0], size[1], 3), dtype=np.uint8) * 114
    r = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = int(image.shape[0] * r), int(image.shape[1] * r)
    padded[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    return np.ascontiguousarray(padded.transpose(2, 0, 1), dtype=np.float32)


def ultralytics_letterbox(
    image: np.ndarray, size: tuple[int, int], *, auto: bool = False, scaleup: bool = True, stride: int = 32
) -> np.ndarray:
    """`LetterBox` of Ultralytics (ultralytics/data/augment.py) and `letterbox` of YOLOv5, on an RGB image."""
    shape = image.shape[:2]
    r = min(size[0] / shape[0], size[1] / shape[1])
    if not scaleup:
        r = min(r, 1.0)
    unpadded = max(round(shape[1] * r), 1), max(round(shape[0] * r), 1)
    dw, dh = size[1] - unpadded[0], size[0] - unpadded[1]
    if auto:
        dw, dh = np.mod(dw, stride), np.mod(dh, stride)
    dw, dh = dw / 2, dh / 2
    resized = cv2.resize(image, unpadded, interpolation=cv2.INTER_LINEAR)
    top, bottom = round(dh - 0.1), round(dh + 0.1)
    left, right = round(dw - 0.1), round(dw + 0.1)
    return cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))


def ultralytics_scale_boxes(canvas: tuple[int, int], boxes: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """`scale_boxes` of Ultralytics 8.4 (ultralytics/utils/ops.py)."""
    gain = min(canvas[0] / image[0], canvas[1] / image[1])
    new_h, new_w = (max(round(x * gain), 1) for x in image)
    pad_x, pad_y = round((canvas[1] - new_w) / 2 - 0.1), round((canvas[0] - new_h) / 2 - 0.1)
    gain_y, gain_x = new_h / image[0], new_w / image[1]
    boxes = (boxes - [pad_x, pad_y] * 2) / ([gain_x, gain_y] * 2)
    return boxes.clip(0, [image[1], image[0]] * 2)


def yolov5_scale_boxes(canvas: tuple[int, int], boxes: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """`scale_boxes` of YOLOv5 (utils/general.py), which MegaDetector v5 and SpeciesNet use."""
    gain = min(canvas[0] / image[0], canvas[1] / image[1])
    pad = (canvas[1] - image[1] * gain) / 2, (canvas[0] - image[0] * gain) / 2
    return ((boxes - [pad[0], pad[1]] * 2) / gain).clip(0, [image[1], image[0]] * 2)


def detr_size(width: int, height: int, size: int, max_size: int) -> tuple[int, int]:
    """`get_size_with_aspect_ratio` of DETR (datasets/transforms.py): height, width."""
    smallest, largest = float(min(width, height)), float(max(width, height))
    if largest / smallest * size > max_size:
        size = round(max_size * smallest / largest)
    if (width <= height and width == size) or (height <= width and height == size):
        return height, width
    if width < height:
        return int(size * height / width), size
    return size, int(size * width / height)


@pytest.mark.parametrize("size", SIZES)
def test_the_default_is_torchvisions_conversion_to_the_last_bit(size: tuple[int, int]) -> None:
    image = picture(*size)
    expected = transforms.to_tensor(image)
    np.testing.assert_array_equal(Preprocessor(InputContract())(image), expected.numpy())


def test_normalisation_is_torchvisions_to_the_last_bit() -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = picture(48, 64)
    scaled = transforms.to_tensor(image)
    expected = transforms.normalize(scaled, list(mean), list(std))
    np.testing.assert_array_equal(Preprocessor(InputContract(mean=mean, std=std))(image), expected.numpy())


def test_mean_and_std_follow_the_order_of_the_channels() -> None:
    contract = InputContract(channels="bgr", scale="0-255", mean=(100, 50, 10), std=(1, 2, 4))
    planes = Preprocessor(contract)(np.full((2, 2, 3), (200, 150, 110), np.uint8))
    assert planes[:, 0, 0].tolist() == [10, 50, 47.5]


@pytest.mark.parametrize(("dtype", "scale"), [("uint8", "0-255"), ("float16", "0-1"), ("float32", "0-255")])
def test_dtype_and_scale(dtype: str, scale: str) -> None:
    image = picture(5, 6)
    planes = Preprocessor(InputContract(dtype=dtype, scale=scale))(image)
    values = image.transpose(2, 0, 1).astype(np.float32) / (255 if scale == "0-1" else 1)
    np.testing.assert_array_equal(planes, values.astype(np.float32).astype(dtype))
    assert planes.dtype == dtype
    assert planes.flags.c_contiguous


@pytest.mark.parametrize("size", SIZES[:3] + SIZES[5:])
def test_a_top_left_letterbox_is_megviis(size: tuple[int, int]) -> None:
    contract = InputContract(resize="letterbox", size=(416, 320), channels="bgr", scale="0-255")
    image = picture(*size)
    np.testing.assert_array_equal(Preprocessor(contract)(image), megvii_preproc(image[..., ::-1], (416, 320)))


@pytest.mark.parametrize("size", SIZES[:3] + SIZES[5:])
def test_a_centred_letterbox_is_ultralytics(size: tuple[int, int]) -> None:
    contract = InputContract(resize="letterbox", size=(320, 416), position="center", dtype="uint8", scale="0-255")
    image = picture(*size)
    expected = ultralytics_letterbox(image, (320, 416)).transpose(2, 0, 1)
    np.testing.assert_array_equal(Preprocessor(contract)(image), expected)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("stride", "scaleup"), [(32, True), (64, True), (32, False)])
def test_a_letterbox_to_a_stride_is_ultralytics(size: tuple[int, int], stride: int, scaleup: bool) -> None:
    keys = {"position": "center", "dtype": "uint8", "scale": "0-255", "multiple": stride, "enlarge": scaleup}
    contract = InputContract.model_validate({"resize": "letterbox", "size": (320, 320), **keys})
    image = picture(*size)
    expected = ultralytics_letterbox(image, (320, 320), auto=True, scaleup=scaleup, stride=stride)
    np.testing.assert_array_equal(Preprocessor(contract)(image), expected.transpose(2, 0, 1))


def transformers_size(image: tuple[int, int], size: int, max_size: int) -> tuple[int, int]:
    """`get_size_with_aspect_ratio` of transformers (image_transforms.py)."""
    height, width = image
    raw_size = None
    smallest, largest = float(min(height, width)), float(max(height, width))
    if largest / smallest * size > max_size:
        raw_size = max_size * smallest / largest
        size = round(raw_size)
    if (height <= width and height == size) or (width <= height and width == size):
        return height, width
    if width < height:
        return int((size if raw_size is None else raw_size) * height / width), size
    return size, int((size if raw_size is None else raw_size) * width / height)


EDGES = [*SIZES, (500, 2000), (500, 667), (667, 500), (333, 1334), (300, 301), (1080, 1920)]


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize(("short", "long"), [(480, 640), (800, 1333), (333, 1333)])
def test_shortest_edge_is_the_papers_or_the_librarys(size: tuple[int, int], short: int, long: int) -> None:
    keys = {"resize": "shortest_edge", "shortest_edge": short, "longest_edge": long}
    found = {
        name: place(InputContract.model_validate(keys | {"rounding": name}), *size).resized
        for name in (None, "detr", "transformers", "yolos", "half-up")
    }
    transformers = transformers_size(size, short, long)
    assert found[None] == found["detr"] == detr_size(size[1], size[0], short, long)
    assert found["transformers"] == transformers
    assert found["yolos"] == tuple(max(side // 16, 1) * 16 for side in transformers)
    factor = min(long / max(size), short / min(size))  # `rescale_size` of MMDetection
    assert found["half-up"] == tuple(max(int(side * factor + 0.5), 1) for side in size)


def test_a_very_long_image_keeps_a_pixel() -> None:
    keys = {"resize": "shortest_edge", "shortest_edge": 480, "longest_edge": 640}
    for rounding, least in (("detr", 1), ("transformers", 1), ("yolos", 16), ("down", 1)):
        resized = place(InputContract.model_validate(keys | {"rounding": rounding}), 1, 9000).resized
        assert resized[0] == least
        assert resized[1] >= 640 // 16 * 16 or rounding == "detr"


@pytest.mark.parametrize(("size", "rounding"), [((333, 1334), "transformers"), ((1, 9000), "detr")])
def test_an_image_never_overshoots_its_canvas(size: tuple[int, int], rounding: str) -> None:
    keys = {"shortest_edge": 800, "longest_edge": 1333, "canvas": (1333, 1333), "rounding": rounding}
    contract = InputContract.model_validate({"resize": "shortest_edge"} | keys)
    assert Preprocessor(contract)(picture(*size)).shape == (3, 1333, 1333)
    assert place(contract, *size).resized[1] == 1333


def test_the_papers_and_the_librarys_shortest_edge_differ() -> None:
    keys = {"resize": "shortest_edge", "shortest_edge": 800, "longest_edge": 1333}
    sides = [place(InputContract.model_validate(keys | {"rounding": r}), 500, 2000).resized for r in EDGE_ROUNDINGS]
    assert sides == [(333, 1332), (333, 1333), (320, 1328), (333, 1333)]


EDGE_ROUNDINGS = ("detr", "transformers", "yolos", "half-up")


@pytest.mark.parametrize(("rounding", "height"), [("down", 166), ("half-even", 166), ("half-up", 167)])
def test_half_a_pixel_is_rounded_as_the_framework_rounds_it(rounding: str, height: int) -> None:
    keys = {"resize": "letterbox", "size": (640, 640), "multiple": 1, "rounding": rounding}
    assert place(InputContract.model_validate(keys), 333, 1280).canvas == (height, 640)


def test_a_canvas_is_larger_than_what_is_fitted() -> None:
    """YOLO-NAS: `DetectionLongestMaxSizeRescale` to 636, then `DetectionCenterPadding` to 640."""
    keys = {"resize": "letterbox", "size": (636, 636), "canvas": (640, 640), "position": "center", "mapping": "ratio"}
    placement = place(InputContract.model_validate(keys), 480, 640)
    assert (placement.resized, placement.canvas) == ((477, 636), (640, 640))
    assert (placement.top, placement.left) == ((640 - 477) // 2, 2)
    box = np.array([[102, 181, 202, 281]], np.float32)
    expected = (np.array([100, 100, 200, 200]) / (636 / 640)).tolist()
    np.testing.assert_allclose(to_image(box, placement)[0], expected, rtol=1e-6)


def test_a_graphs_size_is_that_of_the_canvas() -> None:
    keys = {"resize": "letterbox", "size": [636, 636], "canvas": [640, 640]}
    document = {"name": "nas", "detector": {"name": "nas"}, "categories": ["zebra"], "input": keys}
    signature = Signature((Port("images", (1, 3, 640, 640), "float32"),), ())
    resolved, notes = resolve(Manifest.model_validate(document), signature, "nas.onnx")
    assert (resolved.input.size, resolved.input.canvas, notes) == ((636, 636), (640, 640), [])


@pytest.mark.parametrize("antialias", ["none", "pillow"])
def test_padding_with_the_mean_is_zero_after_normalisation(antialias: str) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    keys = {"shortest_edge": 40, "longest_edge": 60, "canvas": (60, 64), "pad": "mean", "mean": mean, "std": std}
    image = picture(48, 64)
    planes = Preprocessor(InputContract.model_validate({"resize": "shortest_edge", "antialias": antialias} | keys))(
        image
    )
    assert planes.shape == (3, 60, 64)
    assert not planes[:, 40:].any()
    assert not planes[:, :, 53:].any()
    assert planes[:, :40, :53].all()


def test_a_resize_in_floats_is_normalised_without_rounding() -> None:
    """RF-DETR's way: `to_tensor`, `resize(antialias=False)`, `normalize`."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    image = picture(333, 500)
    tensor = transforms.resize(transforms.to_tensor(image), [320, 320], antialias=False)
    expected = transforms.normalize(tensor, list(mean), list(std)).numpy()
    contract = InputContract(resize="stretch", size=(320, 320), resize_dtype="float32", mean=mean, std=std)
    np.testing.assert_allclose(Preprocessor(contract)(image), expected, atol=5e-4)
    rounded = Preprocessor(contract.model_copy(update={"resize_dtype": "uint8"}))(image)
    assert np.abs(rounded - expected).max() > 1e-3


def test_stretch_resizes_by_the_named_interpolation() -> None:
    image = picture(30, 40)
    methods = {
        "nearest": cv2.INTER_NEAREST,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "area": cv2.INTER_AREA,
    }
    for name, method in methods.items():
        contract = InputContract(resize="stretch", size=(16, 24), interpolation=name, dtype="uint8", scale="0-255")
        expected = cv2.resize(image, (24, 16), interpolation=method).transpose(2, 0, 1)
        np.testing.assert_array_equal(Preprocessor(contract)(image), expected)


LETTERBOX = InputContract(resize="letterbox", size=(320, 416), position="center")

CONTRACTS = [
    InputContract(),
    InputContract(resize="stretch", size=(416, 320)),
    InputContract(resize="letterbox", size=(416, 320)),
    InputContract(resize="letterbox", size=(416, 320), rounding="half-up", mapping="sides", multiple=32),
    InputContract(resize="letterbox", size=(400, 400), canvas=(416, 448), enlarge=False),
    LETTERBOX,
    LETTERBOX.model_copy(update={"mapping": "center", "multiple": 32}),
    LETTERBOX.model_copy(update={"mapping": "ratio"}),
    InputContract(resize="shortest_edge", shortest_edge=480, longest_edge=640),
    InputContract(resize="shortest_edge", shortest_edge=480, longest_edge=640, rounding="transformers", multiple=32),
]


@pytest.mark.parametrize("contract", CONTRACTS, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_boxes_come_back_to_where_they_were(contract: InputContract, size: tuple[int, int]) -> None:
    height, width = size
    placement = place(contract, height, width)
    boxes = np.random.default_rng(5).uniform(0, 1, (50, 4)) * [width, height, width, height]
    down, across = placement.scale
    there = boxes * [across, down, across, down] + [*placement.offset[::-1]] * 2
    assert (there[:, [1, 3]] <= placement.canvas[0] + 1).all()
    assert (there[:, [0, 2]] <= placement.canvas[1] + 1).all()
    back = to_image(there.astype(np.float32), placement)
    np.testing.assert_allclose(back, boxes, atol=2e-3 * max(size) / 100)
    assert back.dtype == np.float32


MAPPED = [*SIZES, (333, 1280), (1537, 2051), (300, 301)]


@pytest.mark.parametrize("size", MAPPED)
@pytest.mark.parametrize("multiple", [None, 64])
def test_boxes_come_back_as_in_each_framework(size: tuple[int, int], multiple: int | None) -> None:
    keys = {"resize": "letterbox", "size": (640, 640), "position": "center", "multiple": multiple}
    placements = {
        mapping: place(InputContract.model_validate(keys | {"mapping": mapping}), *size)
        for mapping in (None, "sides", "center", "ratio")
    }
    canvas = placements[None].canvas
    boxes = (np.random.default_rng(5).uniform(0, 1, (50, 4)) * np.array([canvas[1], canvas[0]] * 2)).astype(np.float32)
    found = {mapping: to_image(boxes, placement) for mapping, placement in placements.items()}
    np.testing.assert_allclose(found[None], ultralytics_scale_boxes(canvas, boxes, size), atol=1e-3)
    np.testing.assert_array_equal(found[None], found["sides"])
    np.testing.assert_allclose(found["center"], yolov5_scale_boxes(canvas, boxes, size), atol=1e-3)
    gain = min(640 / size[0], 640 / size[1])
    pads = np.array([round((canvas[axis] - max(round(size[axis] * gain), 1)) / 2 - 0.1) for axis in (1, 0, 1, 0)])
    expected = ((boxes - pads) / gain).clip(0, [size[1], size[0]] * 2)
    np.testing.assert_allclose(found["ratio"], expected, atol=1e-3)


@pytest.mark.parametrize("size", MAPPED)
def test_boxes_come_back_as_in_megviis(size: tuple[int, int]) -> None:
    boxes = np.random.default_rng(5).uniform(0, 416, (50, 4)).astype(np.float32)
    found = to_image(boxes, place(InputContract(resize="letterbox", size=(416, 416)), *size))
    expected = (boxes / min(416 / size[0], 416 / size[1])).clip(0, [size[1], size[0]] * 2)
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("size", MAPPED)
def test_fractions_of_the_input_are_fractions_of_the_image(size: tuple[int, int]) -> None:
    """Hugging Face multiplies by the original size, whatever the image was really resized to."""
    keys = {"resize": "shortest_edge", "shortest_edge": 480, "longest_edge": 640, "rounding": "transformers"}
    placement = place(InputContract.model_validate(keys), *size)
    fractions = np.random.default_rng(5).uniform(0, 1, (50, 4))
    boxes = (fractions * np.array([placement.canvas[1], placement.canvas[0]] * 2)).astype(np.float32)
    np.testing.assert_allclose(to_image(boxes, placement), fractions * np.array([size[1], size[0]] * 2), atol=1e-3)


def test_boxes_are_clipped_to_the_image() -> None:
    placement = place(InputContract(resize="letterbox", size=(100, 100), position="center"), 50, 100)
    boxes = np.array([[-10, -10, 300, 300], [10, 0, 20, 20]], np.float32)
    assert to_image(boxes, placement).tolist() == [[0, 0, 100, 50], [10, 0, 20, 0]]


def test_masks_come_back_to_where_they_were() -> None:
    contract = InputContract(resize="letterbox", size=(100, 100), position="center")
    placement = place(contract, 100, 200)
    mask = np.zeros((1, 100, 100), np.float32)
    mask[0, 35:45, 10:30] = 0.9
    back = masks_to_image(mask, placement)
    assert back.shape == (1, 100, 200)
    rows, columns = np.nonzero(back[0])
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (20, 40, 20, 60)
    assert masks_to_image(mask[:0], placement).shape == (0, 100, 200)
