"""CLIPtrase and other training-free open-vocabulary segmentation methods, evaluated.

Method: Shao, Tian, Zhao, Su, "Explore the Potential of CLIP for Training-Free Open Vocabulary Semantic
Segmentation", ECCV 2024 (arXiv 2407.08268).
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cliptrase.attention import AttentionRule as AttentionRule
    from cliptrase.attention import Projections as Projections
    from cliptrase.clip.guest_weights import load_guest as load_guest
    from cliptrase.clip.trunk import Trunk as Trunk
    from cliptrase.clip.weights import load_clip as load_clip
    from cliptrase.evaluation.counts import SegmentationCounts as SegmentationCounts
    from cliptrase.inference.batches import Prediction as Prediction
    from cliptrase.methods import METHODS as METHODS
    from cliptrase.methods import Method as Method
    from cliptrase.methods import get_method as get_method
    from cliptrase.metrics import scores as scores
    from cliptrase.protocols.protocol import EvaluationProtocol as EvaluationProtocol
    from cliptrase.protocols.table import PROTOCOLS as PROTOCOLS
    from cliptrase.protocols.table import get_protocol as get_protocol
    from cliptrase.segmenter import Segmenter as Segmenter
    from cliptrase.vocabulary import Vocabulary as Vocabulary

__version__ = "0.1.0"

_PLACES = {
    "AttentionRule": "cliptrase.attention",
    "PROTOCOLS": "cliptrase.protocols.table",
    "EvaluationProtocol": "cliptrase.protocols.protocol",
    "METHODS": "cliptrase.methods",
    "Method": "cliptrase.methods",
    "Prediction": "cliptrase.inference.batches",
    "Projections": "cliptrase.attention",
    "SegmentationCounts": "cliptrase.evaluation.counts",
    "Segmenter": "cliptrase.segmenter",
    "Trunk": "cliptrase.clip.trunk",
    "Vocabulary": "cliptrase.vocabulary",
    "get_method": "cliptrase.methods",
    "get_protocol": "cliptrase.protocols.table",
    "load_clip": "cliptrase.clip.weights",
    "load_guest": "cliptrase.clip.guest_weights",
    "scores": "cliptrase.metrics",
}

__all__ = [
    "METHODS",
    "PROTOCOLS",
    "AttentionRule",
    "EvaluationProtocol",
    "Method",
    "Prediction",
    "Projections",
    "SegmentationCounts",
    "Segmenter",
    "Trunk",
    "Vocabulary",
    "__version__",
    "get_method",
    "get_protocol",
    "load_clip",
    "load_guest",
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
