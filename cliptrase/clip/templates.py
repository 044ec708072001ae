"""Prompt templates by name."""

from collections.abc import Callable, Iterator, Mapping

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


def _imagenet() -> tuple[str, ...]:
    """The 80 prompts that CLIP's authors used for ImageNet (Radford et al., ICML 2021), open_clip's functions."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)


class _Templates(Mapping[str, tuple[str, ...]]):
    """Sets of templates by name. Names are had at once; texts load on first use, for open_clip takes seconds."""

    def __init__(self, sets: Mapping[str, Callable[[], tuple[str, ...]]]) -> None:
        self._sets = sets

    def __getitem__(self, name: str) -> tuple[str, ...]:
        return self._sets[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._sets)

    def __len__(self) -> int:
        return len(self._sets)


TEMPLATES: Mapping[str, tuple[str, ...]] = _Templates({"imagenet": _imagenet, "vild": lambda: _VILD})
"""Templates by the name of their set."""
