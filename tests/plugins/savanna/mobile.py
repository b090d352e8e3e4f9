"""A detector: Faster R-CNN on MobileNetV2, without a feature pyramid."""

from torch import nn
from torchvision.models import mobilenet_v2
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from wildbench.detectors.zoo import Detector


def build(num_categories: int, init: str, width: float = 1.0, **arguments: float) -> nn.Module:
    backbone = mobilenet_v2(width_mult=width).features[:-1]
    backbone.out_channels = backbone[-1].out_channels
    anchors = AnchorGenerator(((32, 64, 128, 256),), ((0.5, 1.0, 2.0),))
    pool = MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2)
    classes = num_categories + 1  # 0 is the background
    return FasterRCNN(backbone, classes, rpn_anchor_generator=anchors, box_roi_pool=pool, **arguments)


ARGUMENTS = {"width": float, "min_size": int, "max_size": int, "box_score_thresh": float}
DETECTOR = Detector(build, ARGUMENTS, small={"width": 0.1, "min_size": 64, "box_score_thresh": 0.0})
