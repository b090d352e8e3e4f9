"""A submission format: an .npz with one weight for each category, which looks at the mean of the green channel."""

import io
import zipfile
from typing import ClassVar

import numpy as np

from wildbench.submissions.formats import Format, Listing, Tensor


class Arrays(Format):
    name, suffix, title, runs_code = "arrays", ".npz", "an archive of arrays", False
    counter: ClassVar[str] = "savanna.arrays:count"

    def sniff(self, source):
        stream = io.BytesIO(source.data)
        return zipfile.is_zipfile(stream) and "weights.npy" in zipfile.ZipFile(stream).namelist()

    def manifest(self, source):
        return None  # beside the file

    def tensors(self, source, manifest):
        weights = load(source)
        return Listing(
            [
                Tensor(
                    "weights",
                    weights.shape,
                    "float32",
                    "raw",
                    weights.nbytes,
                    int(np.count_nonzero(weights)),
                    True,
                    32,
                    32,
                )
            ]
        )

    def open(self, source, manifest, device, threads):
        return Mean(load(source))


class Mean:
    device = "cpu"

    def __init__(self, weights):
        self.weights = weights

    def run(self, image):
        labels = np.arange(1, len(self.weights) + 1)
        boxes = np.tile(np.array([0, 0, image.shape[2], image.shape[1]], np.float32), (len(labels), 1))
        scores = np.clip(self.weights * image[1].mean(), 0, 1).astype(np.float32)
        return {"boxes": boxes, "labels": labels, "scores": scores}

    def facts(self):
        return {"device": "cpu", "peak_memory": None}


def load(source):
    return np.load(io.BytesIO(source.data), allow_pickle=False)["weights"]


def count(backend, image):
    return {"by_module": {"weights": len(backend.weights)}}


FORMAT = Arrays()
