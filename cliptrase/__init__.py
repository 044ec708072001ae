"""CLIPtrase and other training-free open-vocabulary segmentation methods, evaluated.

Method: Shao, Tian, Zhao, Su, "Explore the Potential of CLIP for Training-Free Open Vocabulary Semantic
Segmentation", ECCV 2024 (arXiv 2407.08268).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cliptrase.evaluation.counts import SegmentationCounts as SegmentationCounts
    from cliptrase.metrics import scores as scores
    from cliptrase.protocol import EvaluationProtocol as EvaluationProtocol
    from cliptrase.protocols import get_protocol as get_protocol
    from cliptrase.segmenter import Prediction as Prediction
    from cliptrase.segmenter import Segmenter as Segmenter
    from cliptrase.vocabulary import Vocabulary as Vocabulary

__version__ = "0.1.0"

_PLACES = {
    "EvaluationProtocol": "cliptrase.protocol",
    "Prediction": "cliptrase.segmenter",
    "SegmentationCounts": "cliptrase.evaluation.counts",
    "Segmenter": "cliptrase.segmenter",
    "Vocabulary": "cliptrase.vocabulary",
    "get_protocol": "cliptrase.protocols",
    "scores": "cliptrase.metrics",
}

__all__ = [
    "EvaluationProtocol",
    "Prediction",
    "SegmentationCounts",
    "Segmenter",
    "Vocabulary",
    "__version__",
    "get_protocol",
    "scores",
]


def __dir__() -> list[str]:
    """The public names, for completion."""
    return __all__


def __getattr__(name: str) -> Any:
    """Public names load on first use, so that the data modules can read the vocabulary without torch."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES[name]), name)
