import cv2
import numpy as np
import pytest
from torchvision.transforms import functional as transforms

from wildbench.submissions.input import InputContract
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


def ultralytics_letterbox(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`LetterBox(auto=False, scaleup=True)` of Ultralytics (ultralytics/data/augment.py), on an RGB image."""
    shape = image.shape[:2]
    r = min(size[0] / shape[0], size[1] / shape[1])
    unpadded = round(shape[1] * r), round(shape[0] * r)
    dw, dh = (size[1] - unpadded[0]) / 2, (size[0] - unpadded[1]) / 2
    resized = cv2.resize(image, unpadded, interpolation=cv2.INTER_LINEAR)
    top, bottom = round(dh - 0.1), round(dh + 0.1)
    left, right = round(dw - 0.1), round(dw + 0.1)
    return cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))


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
def test_shortest_edge_is_detrs(size: tuple[int, int]) -> None:
    contract = InputContract(resize="shortest_edge", shortest_edge=480, longest_edge=640)
    assert place(contract, *size).resized == detr_size(size[1], size[0], 480, 640)


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


CONTRACTS = [
    InputContract(),
    InputContract(resize="stretch", size=(416, 320)),
    InputContract(resize="letterbox", size=(416, 320)),
    InputContract(resize="letterbox", size=(320, 416), position="center"),
    InputContract(resize="shortest_edge", shortest_edge=480, longest_edge=640),
]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: f"{contract.resize} {contract.position}")
@pytest.mark.parametrize("size", SIZES)
def test_boxes_come_back_to_where_they_were(contract: InputContract, size: tuple[int, int]) -> None:
    height, width = size
    placement = place(contract, height, width)
    boxes = np.random.default_rng(5).uniform(0, 1, (50, 4)) * [width, height, width, height]
    down, across = placement.scale
    there = boxes * [across, down, across, down] + [placement.left, placement.top] * 2
    assert (there[:, [1, 3]] <= placement.canvas[0] + 1e-6).all()
    assert (there[:, [0, 2]] <= placement.canvas[1] + 1e-6).all()
    back = to_image(there.astype(np.float32), placement)
    np.testing.assert_allclose(back, boxes, atol=2e-3 * max(size) / 100)
    assert back.dtype == np.float32


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
