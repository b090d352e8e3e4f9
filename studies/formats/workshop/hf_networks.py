"""Tiny networks of every detector family of transformers, with random weights whose scores spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import transformers
from bench import CATEGORIES, Detection
from PIL import Image
from torch import nn

IDS = dict(enumerate(CATEGORIES))
LABELS = {"id2label": IDS, "label2id": {name: at for at, name in IDS.items()}}
RESNET = {"embedding_size": 16, "hidden_sizes": [16, 24, 32, 40], "depths": [1, 1, 1, 1], "layer_type": "basic"}
SMALL = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
HEADS = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
HYBRID = {
    "encoder_hidden_dim": 32,
    "encoder_in_channels": [24, 32, 40],
    "encoder_ffn_dim": 48,
    "decoder_in_channels": [32, 32, 32],
    "feat_strides": [8, 16, 32],
    "anchor_image_size": None,
    "num_denoising": 0,
    **SMALL,
    **HEADS,
}
SHORT = {"size": {"shortest_edge": 256, "longest_edge": 400}}
SQUARE = {"size": {"height": 256, "width": 256}}


def resnet(indices: tuple[int, ...] = (4,)) -> transformers.ResNetConfig:
    """A ResNet of 16 to 40 channels."""
    return transformers.ResNetConfig(out_features=[f"stage{at}" for at in indices], **RESNET)


def plain(config: str, **more: object) -> transformers.PreTrainedConfig:
    """A configuration of DETR's first descendants."""
    arguments = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None, "num_queries": 40}
    arguments |= {"backbone_config": resnet(), **SMALL, **HEADS, **LABELS, **more}
    return getattr(transformers, config)(**arguments)


def hybrid(config: str, **more: object) -> transformers.PreTrainedConfig:
    """A configuration of RT-DETR's descendants."""
    backbone = transformers.RTDetrResNetConfig(out_features=["stage2", "stage3", "stage4"], **RESNET)
    arguments = {"backbone_config": backbone, "num_queries": 60, **HYBRID, **LABELS, **more}
    return getattr(transformers, config)(**arguments)


def hgnet() -> transformers.PreTrainedConfig:
    """The backbone of D-FINE and DEIMv2, tiny."""
    return transformers.HGNetV2Config(
        stem_channels=[3, 8, 16],
        stage_in_channels=[16, 16, 24, 32],
        stage_mid_channels=[8, 8, 16, 16],
        stage_out_channels=[16, 24, 32, 40],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[2, 2, 2, 2],
        stage_downsample=[False, True, True, True],
        stage_light_block=[False, False, True, True],
        stage_kernel_size=[3, 3, 5, 5],
        hidden_sizes=[16, 24, 32, 40],
        depths=[1, 1, 1, 1],
        embedding_size=16,
        out_features=["stage2", "stage3", "stage4"],
    )


def windowed(kind: str) -> transformers.PreTrainedConfig:
    """LW-DETR and RF-DETR: a plain vision transformer with windows."""
    vit = {
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 256,
        "out_indices": [2, 3],
    }
    if kind == "LwDetrConfig":
        backbone = transformers.LwDetrViTConfig(**vit, pretrain_image_size=256, window_block_indices=[0], num_windows=4)
        more = {"projector_scale_factors": [1.0], "num_feature_levels": 1}
    else:
        backbone = transformers.RfDetrDinov2Config(**vit, patch_size=16, num_windows=2)
        more = {"intermediate_size": 48}
    arguments = {"d_model": 32, "decoder_layers": 2, "decoder_ffn_dim": 48, "num_queries": 40, "group_detr": 2}
    arguments |= {"decoder_self_attention_heads": 4, "decoder_cross_attention_heads": 4, "decoder_n_points": 2}
    return getattr(transformers, kind)(backbone_config=backbone, **arguments, **more, **LABELS)


def yolos() -> transformers.PreTrainedConfig:
    """YOLOS: a vision transformer whose last tokens are the detections."""
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    return transformers.YolosConfig(
        **small, image_size=[256, 384], num_detection_tokens=40, use_mid_position_embeddings=False, **LABELS
    )


FOLDERS = {
    "detr": (lambda: plain("DetrConfig"), "DetrImageProcessor", SHORT),
    "table_transformer": (lambda: plain("TableTransformerConfig"), "DetrImageProcessor", SHORT),
    "conditional_detr": (lambda: plain("ConditionalDetrConfig"), "ConditionalDetrImageProcessor", SHORT),
    "dab_detr": (
        lambda: plain("DabDetrConfig", hidden_size=32, encoder_layers=1, decoder_layers=2),
        "ConditionalDetrImageProcessor",
        SHORT,
    ),
    "deformable_detr": (
        lambda: plain("DeformableDetrConfig", backbone_config=resnet((2, 3, 4)), num_feature_levels=4),
        "DeformableDetrImageProcessor",
        SHORT,
    ),
    "deformable_detr_two_stage": (
        lambda: plain(
            "DeformableDetrConfig",
            backbone_config=resnet((2, 3, 4)),
            num_feature_levels=4,
            two_stage=True,
            with_box_refine=True,
        ),
        "DeformableDetrImageProcessor",
        SHORT,
    ),
    "yolos": (yolos, "YolosImageProcessor", SHORT),
    "rt_detr": (lambda: hybrid("RTDetrConfig"), "RTDetrImageProcessor", SQUARE),
    "rt_detr_v2": (lambda: hybrid("RTDetrV2Config"), "RTDetrImageProcessor", SQUARE),
    "d_fine": (lambda: hybrid("DFineConfig", backbone_config=hgnet()), "RTDetrImageProcessor", SQUARE),
    "deimv2": (lambda: hybrid("Deimv2Config", backbone_config=hgnet()), "RTDetrImageProcessor", SQUARE),
    "lw_detr": (lambda: windowed("LwDetrConfig"), "DeformableDetrImageProcessor", SQUARE),
    "rf_detr": (lambda: windowed("RfDetrConfig"), "RfDetrImageProcessor", SQUARE),
}
"""By artifact: its configuration, its processor, and the size that the processor resizes to."""


def prepare(processor: Any, image: Image.Image) -> Any:
    """The network's inputs for one picture."""
    return processor(images=image, return_tensors="pt")


def build(entry: tuple[Any, str, dict[str, Any]], images: Iterable[Image.Image]) -> tuple[nn.Module, Any]:
    """A network with weights that spread its answers on these pictures, and its processor."""
    configure, processor_name, size = entry
    torch.manual_seed(0)
    model = transformers.AutoModelForObjectDetection.from_config(configure()).eval()
    processor = getattr(transformers, processor_name)(**size)
    enliven(model)
    spread_scores(model, [prepare(processor, image) for image in images])
    return model, processor


def detections_of(processor: Any, answer: Any, image: Image.Image) -> list[Detection]:
    """What a processor makes of a network's answer for one picture."""
    answer = processor.post_process_object_detection(answer, threshold=0.02, target_sizes=[image.size[::-1]])[0]
    rows = zip(answer["boxes"].tolist(), answer["scores"].tolist(), answer["labels"].tolist(), strict=True)
    return clipped([(*box, score, IDS[label]) for box, score, label in rows], image)


def clipped(rows: list[Detection], image: Image.Image) -> list[Detection]:
    """Detections within the picture: random boxes reach over its edges."""
    width, height = image.size
    sides = ((min(max(x1, 0), width), min(max(y1, 0), height), x2, y2, *rest) for x1, y1, x2, y2, *rest in rows)
    return [(x1, y1, min(max(x2, 0), width), min(max(y2, 0), height), *rest) for x1, y1, x2, y2, *rest in sides]


def enliven(model: nn.Module) -> None:
    """Give a network weights that tell queries apart: those of its own initialisation hardly do.

    Xavier's for linear layers, normal ones for queries and tokens.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
        elif isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    for name, parameter in model.named_parameters():
        if name.endswith(("detection_tokens", "query_feat", "reference_point_embed")):
            nn.init.normal_(parameter)
        elif name.endswith("bbox_embed.layers.2.weight"):
            parameter.data.mul_(0.3)  # LW-DETR takes its exponential, and a huge box magnifies every last bit
        elif "enc_output" in name and name.endswith("bias"):
            nn.init.zeros_(parameter)  # places at the border, which all have one score, come last


def spread_scores(model: nn.Module, prepared: Sequence[Any]) -> None:
    """Scale the last class layer so that logits over all pictures have mean -2.5 and deviation 1.5 in each class.

    Without it a random network gives every query one score. Softmax heads get a likely "no object".
    """
    with torch.inference_mode():
        final = [model(**inputs).logits for inputs in prepared]
    head = _last_layer(model, prepared)
    values = torch.cat([answer.flatten(0, -2) for answer in final])
    within = torch.cat([(answer - answer.mean(1, keepdim=True)).flatten(0, -2) for answer in final]).std(0)
    deviation, mean = torch.maximum(within, values.std(0) / 2), values.mean(0)  # pictures must not saturate either
    target = torch.full_like(mean, -2.5)
    if len(mean) == len(CATEGORIES) + 1:
        target[-1] = 1.0
    with torch.no_grad():
        gain = 1.5 / deviation
        bias = head.bias - mean
        head.weight.mul_(gain[:, None])
        head.bias.copy_(bias * gain + target)
        again = torch.cat([model(**inputs).logits.flatten(0, -2) for inputs in prepared])
        head.bias.add_(target - again.mean(0))  # D-FINE adds something of its own


def _last_layer(model: nn.Module, prepared: Sequence[Any]) -> nn.Linear:
    """The linear layer that gave the logits: the last one to answer with their shape."""
    calls: list[tuple[nn.Linear, torch.Size]] = []
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    hooks = [
        layer.register_forward_hook(lambda at, _, output: calls.append((at, output.shape[-2:]))) for layer in layers
    ]
    with torch.inference_mode():
        logits = model(**prepared[0]).logits
    for hook in hooks:
        hook.remove()
    return [layer for layer, shape in calls if shape == logits.shape[-2:]][-1]
