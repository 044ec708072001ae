"""Prompt templates by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from open_clip import OPENAI_IMAGENET_TEMPLATES

TemplateSet = Literal["imagenet", "vild"]

# The 14 templates of ViLD (Gu et al., ICLR 2022), which the released multi-GPU variant of CLIPtrase uses.
_VILD = (
    "a photo of a {}.",
    "This is a photo of a {}",
    "There is a {} in the scene",
    "There is the {} in the scene",
    "a photo of a {} in the scene",
    "a photo of a small {}.",
    "a photo of a medium {}.",
    "a photo of a large {}.",
    "This is a photo of a small {}.",
    "This is a photo of a medium {}.",
    "This is a photo of a large {}.",
    "There is a small {} in the scene.",
    "There is a medium {} in the scene.",
    "There is a large {} in the scene.",
)

# The 80 prompts that CLIP's authors used for ImageNet (Radford et al., ICML 2021) come with open_clip as functions.
TEMPLATES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"imagenet": tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES), "vild": _VILD}
)
