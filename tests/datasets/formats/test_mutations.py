"""Sets in every form, with fields dropped, types changed and bytes cut: an answer or one line, never a traceback."""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_parks import lay, picture

from wildbench.datasets.transfer import import_dataset
from wildbench.errors import WildbenchError

pytestmark = pytest.mark.slow

SIZE = (64, 48)
BOX = [10, 20, 30, 20]
COCO = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
    "categories": [{"id": 1, "name": "deer"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": BOX, "area": 600, "iscrowd": 0}],
}
SHAPE = {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 20}
VOC = (
    "<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height></size><object><name>deer</name>"
    "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>40</ymax></bndbox></object></annotation>"
)
CVAT = (
    '<annotations><image id="0" name="a.jpg" width="64" height="48"><box label="deer" xtl="1" ytl="2" xbr="30" '
    'ybr="40" rotation="45.0"/><polygon label="deer" points="1,2;3,4;5,9"/>'
    '<ellipse label="deer" cx="9" cy="9" rx="3" ry="2"/></image></annotations>'
)
PERCENT = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 30, "rectanglelabels": ["deer"]}
TASK = {
    "id": 1,
    "data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"},
    "annotations": [{"result": [{"original_width": 64, "original_height": 48, "value": PERCENT}]}],
}
DETECTION = {"label": "deer", "bounding_box": [0.1, 0.2, 0.3, 0.4]}


def parquet() -> bytes:
    """A file of one row, with its picture; a text where there is no reader of such files."""
    try:
        from pyarrow import BufferOutputStream, Table
        from pyarrow.parquet import write_table
    except ModuleNotFoundError:
        return b"PAR1"
    objects = {"bbox": [[float(side) for side in BOX]], "category": ["deer"]}
    row = {"image": {"bytes": picture(1, SIZE), "path": "b.jpg"}, "objects": objects}
    write_table(Table.from_pylist([row]), made := BufferOutputStream())
    return bytes(made.getvalue())


def written(document: Any) -> bytes:
    if isinstance(document, bytes):
        return document
    return document.encode() if isinstance(document, str) else json.dumps(document).encode()


SETS: dict[str, dict[str, Any]] = {
    "coco": {"labels.json": COCO},
    "voc": {"a.xml": VOC},
    "yolo": {"a.txt": "0 0.5 0.5 0.25 0.25\n", "data.yaml": "names: [deer]\n"},
    "labelme": {"a.json": {"shapes": [{"label": "deer", "points": [[1, 2], [9, 8]]}], "imagePath": "a.jpg"}},
    "via": {
        "v.json": {
            "a": {"filename": "a.jpg", "regions": [{"shape_attributes": SHAPE, "region_attributes": {"kind": "deer"}}]}
        }
    },
    "create-ml": {
        "c.json": [
            {
                "image": "a.jpg",
                "annotations": [{"label": "deer", "coordinates": {"x": 20, "y": 20, "width": 9, "height": 9}}],
            }
        ]
    },
    "datumaro": {
        "d.json": {
            "categories": {"label": {"labels": [{"name": "deer"}]}},
            "items": [
                {
                    "id": "a",
                    "image": {"path": "a.jpg"},
                    "annotations": [{"type": "bbox", "label_id": 0, "bbox": BOX}],
                }
            ],
        }
    },
    "image-folder": {
        "metadata.jsonl": {
            "file_name": "a.jpg",
            "width": 64,
            "height": 48,
            "objects": {"bbox": [BOX], "category": [0]},
        }
    },
    "camtrap-dp": {
        "media.csv": "mediaID,deploymentID,filePath\nm,d,a.jpg\n",
        "observations.csv": "mediaID,observationType,scientificName,bboxX,bboxY,bboxWidth,bboxHeight\n"
        "m,animal,deer,0.1,0.1,0.5,0.5\n",
        "deployments.csv": "deploymentID,locationID\nd,gate\n",
    },
    "open-images": {"boxes.csv": "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\na,deer,0.1,0.5,0.1,0.5,0\n"},
    "deep-forest": {"boxes.csv": "image_path,xmin,ymin,xmax,ymax,label\na.jpg,1,2,30,40,deer\n"},
    "cvat": {"annotations.xml": CVAT},
    "label-studio": {"export.json": [TASK]},
    "fiftyone": {"samples.json": {"samples": [{"filepath": "a.jpg", "ground_truth": {"detections": [DETECTION]}}]}},
    "fiftyone-labels": {"labels.json": {"classes": ["deer"], "labels": {"a": [DETECTION | {"label": 0}]}}},
    "parquet": {"train.parquet": parquet()},
    "supervisely": {
        "ann/a.jpg.json": {
            "size": {"width": 64, "height": 48},
            "objects": [
                {"classTitle": "deer", "geometryType": "polygon", "points": {"exterior": [[1, 2], [9, 8], [3, 30]]}}
            ],
        }
    },
}
ODD: list[Any] = [None, True, -1, 0, 1.5, 2**70, "", "x", "\x00", [], [1], [None] * 4, {}, {"a": 1}, 1e308, "🦁"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def changed(document: Any, path: tuple[Any, ...], odd: Any, drop: bool) -> Any:
    """A copy of a document with one value dropped or replaced."""
    copy = json.loads(json.dumps(document))
    owner = copy
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = odd
    if drop:
        del owner[path[-1]]
    return copy


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, dict[str, bytes]]:
    """A form, and its files of which one is damaged."""
    form = draw(st.sampled_from(sorted(SETS)))
    files = dict(SETS[form])
    turn = draw(st.sampled_from([1, 6]))
    name = draw(st.sampled_from(sorted(files)))
    for one, document in files.items():
        mend = one == name and not isinstance(document, str | bytes)
        if mend and (inside := places(document)[1:]) and draw(st.booleans()):
            path, odd = draw(st.sampled_from(inside)), draw(st.sampled_from(ODD))
            drop = draw(st.booleans())
            document = changed(document, path, odd, drop)
            files[one] = json.dumps(document).encode()
            continue
        data = written(document)
        if one == name:
            chance = random.Random(draw(st.integers(0, 2**32)))
            at = chance.randrange(len(data))
            data = draw(
                st.sampled_from([data[:at], data[at:], data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]])
            )
        files[one] = data
    return form, {**files, "a.jpg": picture(0, SIZE[::-1] if turn == 6 else SIZE, turn)}


@given(mutated())
@settings(max_examples=500, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_a_damaged_set_is_read_or_refused_in_one_line(made: tuple[str, dict[str, bytes]]) -> None:
    _, files = made
    with tempfile.TemporaryDirectory() as folder:
        source = lay(Path(folder, "source"), files)
        message, report = "", None
        try:
            report = import_dataset(source, Path(folder, "out"))
        except WildbenchError as error:
            message = str(error)
        assert (report is None) == bool(message) == (not Path(folder, "out").exists())
        assert "\n" not in message
