"""Training recipes: one TOML file with everything a training run depends on, except the images and the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from wildbench.errors import RecipeError, first_problem
from wildbench.records import plain_toml

EXAMPLE = "see baselines/reference.toml"


class Section(BaseModel):
    """Base of every table of a recipe: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Network(Section):
    """Which network, and what it starts from."""

    name: str = Field(description="Its name in the zoo.")
    init: Literal["random", "imagenet", "coco"] = Field(default="imagenet", description="See `zoo.build`.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Arguments of the zoo's builder.")
    frozen_blocks: int = Field(default=0, ge=0, le=12, description="Leading blocks of the backbone left untrained.")


class Data(Section):
    """What it learns from."""

    dataset: str | None = Field(default=None, description="A registered name or a COCO JSON; --dataset overrides it.")
    split: str = Field(default="train", description="Split of a registered data set.")


class Schedule(Section):
    """How long it learns, and how fast: linear warm-up, then a cosine down to `final_factor` of the rate."""

    epochs: float = Field(gt=0)
    batch_size: int = Field(default=16, ge=1)
    warmup_steps: int = Field(default=100, ge=0)
    final_factor: float = Field(default=0.02, ge=0, le=1)
    plain_fraction: float = Field(default=0.0, ge=0, le=1, description="Last part, without mosaic and pasting.")
    balance: float = Field(default=0.0, ge=0, le=1, description="1: rare categories as often as common ones.")
    ema_decay: float = Field(default=0.998, ge=0, lt=1, description="Of the averaged weights that are the result.")
    seed: int = Field(default=0, ge=0, lt=2**42)  # a million times it is a seed of torch, of 64 bits


class Optimizer(Section):
    """How a gradient becomes a step."""

    name: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    backbone_factor: float = Field(default=0.3, ge=0, description="Learning rate of the backbone, as a share.")
    weight_decay: float = Field(default=0.05, ge=0, description="On weights; never on biases and norms.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Of SGD.")
    gradient_clip: float = Field(default=5.0, gt=0, description="Largest norm of the gradient.")


class Augmentation(Section):
    """How one photograph becomes many: chances that something happens, and ranges of how much."""

    height: int = Field(ge=32, description="Of the training images, in pixels.")
    width: int = Field(ge=32)
    scale: tuple[float, float] = Field(default=(0.6, 1.6), description="Zoom; at 1 the whole image fits the frame.")
    shift: float = Field(default=0.2, ge=0, le=1, description="Largest shift, as a part of the frame.")
    flip: float = Field(default=0.5, ge=0, le=1)
    colour: float = Field(default=0.7, ge=0, le=1, description="Brightness, contrast, hue and saturation.")
    gray: float = Field(default=0.1, ge=0, le=1, description="As an infrared camera sees.")
    blur: float = Field(default=0.1, ge=0, le=1)
    noise: float = Field(default=0.1, ge=0, le=1)
    dropout: float = Field(default=0.1, ge=0, le=1, description="Holes, as leaves and trunks make them.")
    mosaic: float = Field(default=0.0, ge=0, le=1, description="Four images in one frame.")
    paste: float = Field(default=0.0, ge=0, le=1, description="Animals cut out by their masks, onto another image.")

    @field_validator("scale")
    @classmethod
    def _from_least_to_most(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise ValueError("give the least and the most zoom, both above 0")
        return scale


class Submission(Section):
    """What the manifest says about the authors; the training does not depend on it."""

    authors: list[str] = Field(default_factory=list)
    licence: str | None = Field(default=None, description="SPDX identifier of the weights' licence.")


class Recipe(Section):
    """A training run.

    Example:
        >>> Recipe.model_validate({"detector": {"name": "fcos_efficientnet_lite0_fpn"}, "schedule": {"epochs": 1},
        ...     "augmentation": {"height": 384, "width": 512}}).optimizer.name
        'adamw'
    """

    detector: Network
    data: Data = Data()
    schedule: Schedule
    optimizer: Optimizer = Optimizer()
    augmentation: Augmentation
    submission: Submission = Submission()


def load_recipe(path: Path | str) -> Recipe:
    """Read and validate a recipe.

    Raises:
        RecipeError: The file cannot be read, is not TOML, or a key is unknown or out of its range; the key is named.
    """
    try:
        return parse_recipe(plain_toml(path), str(path))
    except OSError as error:
        remedy = "name a recipe such as baselines/reference.toml"
        raise RecipeError(f"{path}: {error.strerror}", code="unreadable", remedy=remedy) from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise RecipeError(f"{path}: not TOML ({error})", code="not-toml", remedy=EXAMPLE) from error


def parse_recipe(values: dict[str, Any], place: str = "recipe") -> Recipe:
    """Validate the values of a recipe; `place` names them in the error."""
    if "steps" in values:
        problem = f"{place}: a compression recipe, with [[steps]]"
        raise RecipeError(problem, code="compression-recipe", remedy="use: wildbench baseline run")
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{place}: {first_problem(error)}", code="value", remedy=EXAMPLE) from error
