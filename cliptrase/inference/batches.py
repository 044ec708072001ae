"""Batches of pixels and a vocabulary in, label maps out: the method without Lightning."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.guest_weights import load_guest
from cliptrase.clip.requirements import check_guest, loaded_reading
from cliptrase.clip.templates import TEMPLATES
from cliptrase.clip.text import TextCache, check_names, default_cache_dir, encode_names
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.common.timing import stage
from cliptrase.inference.checks import (
    check_votes,
    require_directions,
    require_features,
    require_images,
    require_size,
    require_tiles,
    require_whole_patches,
)
from cliptrase.inference.large import LargePicture
from cliptrase.inference.maps import GuideOf, resized
from cliptrase.inference.naming import Named
from cliptrase.inference.neutral import none_of_these
from cliptrase.inference.pixels import (
    denormalise,
    fit_to_patches,
    normalise,
    padded_canvas,
    shown_cell,
    under_patches,
)
from cliptrase.inference.whole import WholePictures, find_regions
from cliptrase.inference.windows import Windows, encode_windows
from cliptrase.methods import Method, get_methods
from cliptrase.ops.classification import Size, TextClassifier, has_direction
from cliptrase.ops.precision import Precision
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.protocols.table import DEFAULT, ProtocolLike, get_protocol
from cliptrase.refinements.maps import Guide
from cliptrase.vocabulary import Vocabulary

Encoded = WholePictures | Windows
"""A batch as the tower saw it, ready for any names."""


class Prediction(NamedTuple):
    """What `Segmenter.forward` says of a batch.

    Attributes:
        labels: by method's name (B, H, W) int64 labels in [0, classifier.num_labels), in the order asked for.
        regions: by name of each method that votes (B, H, W) int64 numbers of regions, -1 all over a picture that has
            none. Empty under protocols with windows, each of which has regions of its own.
        encoded: what `encode` gives, for `label` with further names and for `probabilities`.
        probabilities: where they were asked for, by method's name what `Segmenter.probabilities` gives.
    """

    labels: dict[str, Tensor]
    regions: dict[str, Tensor]
    encoded: Encoded
    probabilities: dict[str, Tensor] | None = None


class BatchSegmenter(nn.Module):
    """A training-free open-vocabulary segmenter of batches that are of its protocol's geometry already.

    Threads may share one: a call leaves nothing behind that another reads.

    Args:
        clip: a loaded CLIP model.
        protocol: how images are shown and named, by name or as whatever `protocols.get_protocol` takes.
        methods: what to compute, one or several, by name or as a `Method`, the first being the main one; see
            `methods.get_method`.
        cache_dir: folder of encoded vocabularies; None takes the user's cache folder.
        guest: a second tower for methods that read one: what `guest_weights.load_guest` takes (a timm name, a folder or
            a file) or returns, or a vision transformer of timm.
        precision: of the tower and the guest, `auto`, `32-true`, `int8x3`, `bf16-mixed` or `16-mixed`; see
            `ops.precision`.

    Raises:
        InputError: a tower, method or precision that cannot be used, no method, or a guest that no method reads.
    """

    def __init__(
        self,
        clip: LoadedClip,
        protocol: ProtocolLike | None = None,
        methods: str | Method | Sequence[str | Method] = ("cliptrase",),
        cache_dir: Path | None = None,
        guest: str | Path | GuestTower | nn.Module | None = None,
        precision: Precision = "32-true",
    ) -> None:
        super().__init__()
        if not isinstance(clip, LoadedClip):
            raise InputError(f"Segmenter takes a model from load_clip(), not {clip!r}")
        self.protocol = get_protocol(DEFAULT if protocol is None else protocol)
        self.methods = get_methods(methods)
        self.clip = clip
        if isinstance(guest, str | Path):
            check_guest(self.methods, str(guest))
            guest = load_guest(guest)
        elif guest is not None and not isinstance(guest, GuestTower):
            guest = GuestTower(guest)
        self.encoder = VisualEncoder(clip.model.visual, guest, clip.mean, clip.std, precision)
        self.encoder.require(self.methods)
        check_guest(self.methods, guest.name if guest is not None else None)
        self.model = clip.model
        require_whole_patches(self.protocol, self.patch)
        check_votes(self.protocol, self.methods)
        self.scale = float(clip.model.logit_scale.exp())
        self.cache_dir = cache_dir or default_cache_dir()
        self.cache = self._cache_of(clip.weights_hash)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(clip.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(clip.std).view(3, 1, 1), persistent=False)

    @property
    def patch(self) -> Size:
        """(height, width) of a patch in pixels."""
        height, width = self.encoder.tower.patch_size
        return int(height), int(width)

    @property
    def reads_names(self) -> bool:
        """Whether a method's features depend on the names, so that no other vocabulary can share them."""
        return any(loaded_reading(method).text for method in self.methods)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.mean.device

    def classifier(
        self, vocabulary: Vocabulary, class_token_weighting: bool = False, progress: bool = True, setting: str = ""
    ) -> TextClassifier:
        """The vocabulary's text classifier, from the cache where it was encoded before.

        Args:
            vocabulary: names, synonyms and background.
            class_token_weighting: see `TextClassifier`; the protocol's `class_token_weight` may know none.
            progress: whether to show a progress bar while encoding.
            setting: whose own values of the protocol apply.

        Raises:
            InputError: the model gives a name no direction (not finite, or zero), or all names the same one; its
                text tower cannot tell names apart, see `check_names`; the weights file was written to since it was
                read; or a threshold does not go together with the class token's weights or has too few neutral words,
                see `neutral.none_of_these`.
        """
        self.check_names(vocabulary)
        weighting = class_token_weighting and self.protocol.class_token_weight != "none"
        if weighting and vocabulary.threshold is not None:
            raise InputError("a threshold compares words as they are, not weighted by the class token; leave out one")
        text = self.embeddings(vocabulary.names, progress=progress)
        return TextClassifier(
            text,
            torch.tensor(vocabulary.name_to_label, device=self.device),
            vocabulary.num_labels,
            vocabulary.background_index,
            weighting,
            setting,
            none_of_these(vocabulary, text, self.embeddings, self._softmax_scale(setting)),
        )

    def _softmax_scale(self, setting: str) -> float:
        """Of cosines where labels get probabilities: the protocol's, and the model's where it has none."""
        return self.protocol.on(setting).logit_scale or self.scale

    def check_names(self, vocabulary: Vocabulary) -> None:
        """Asks whether the text tower can tell a vocabulary's names apart.

        Raises:
            InputError: see `text.check_names`, which warns of long ones, too.
        """
        templates = TEMPLATES[self.protocol.templates]
        check_names(self.clip.tokenizer, vocabulary.names, vocabulary.name_to_label, templates)

    def embeddings(self, names: Sequence[str], templates: Sequence[str] = (), progress: bool = True) -> Tensor:
        """Text embeddings of names, from the cache where they were encoded before.

        Args:
            names: C of them, at least one.
            templates: prompts with `{}` where a name goes; none stands for the protocol's.
            progress: whether to show a progress bar while encoding.

        Returns:
            (C, E) float32 unit rows.

        Raises:
            InputError: the model gives a name no direction (not finite, or zero), or all names the same one.
        """
        names, templates = tuple(names), tuple(templates) or TEMPLATES[self.protocol.templates]
        with stage("text"):
            if (weights := self.clip.text_hash()) != self.cache.weights:
                self.cache = self._cache_of(weights)
            cache = self.cache
            embeddings = cache.load(names, templates)
            if embeddings is None or not has_direction(embeddings).all():
                self.clip.hold_text()
                embeddings = encode_names(self.model, self.clip.tokenizer, names, templates, progress)
                require_directions(embeddings, names)
                cache.save(names, templates, embeddings)
        return embeddings.to(self.device)

    def _cache_of(self, weights: str) -> TextCache:
        """The cache of the text tower with weights of a hash."""
        return TextCache(self.cache_dir, _text_identity(self.clip), weights, self.clip.tokenizer)

    @torch.no_grad()
    def forward(
        self,
        images: Tensor,
        classifier: TextClassifier,
        size: Size | None = None,
        keep: bool = False,
        probabilities: bool = False,
    ) -> Prediction:
        """Label maps and regions of a batch of pictures of one size.

        Args:
            images: (B, 3, H, W) uint8 RGB, already of the protocol's geometry. Under `fit` exact H and W are
                multiples of the patch.
            classifier: from `classifier`.
            size: (height, width) of the label maps; None takes the pictures' own.
            keep: see `encode`.
            probabilities: whether those of all methods are wanted.

        Raises:
            InputError: features that are not finite: damaged weights, or numbers too large for half precision.
            ValueError: a side is not a whole number of patches.
        """
        encoded = self.encode(images, size, classifier.setting, classifier if self.reads_names else None, keep)
        regions = encoded.regions if isinstance(encoded, WholePictures) else {}
        likely = self.probabilities(encoded, classifier) if probabilities else None
        return Prediction(self.label(encoded, classifier), regions, encoded, likely)

    @torch.no_grad()
    def encode(
        self,
        images: Tensor,
        size: Size | None = None,
        setting: str = "",
        names: TextClassifier | None = None,
        keep: bool = False,
    ) -> Encoded:
        """The part of `forward` that needs no names: features and regions, for `label` with any classifier.

        Where a method `reads_names`, features are those of `names`, and `label` takes no others.

        Args:
            images: see `forward`.
            size: see `forward`.
            setting: whose own values of the protocol and of methods' options apply.
            names: needed where a method `reads_names`.
            keep: whether regions of windows are to be made again, by `Windows.under`; takes memory.

        Raises:
            InputError: see `forward`; or a method reads the names, and none are given.
            ValueError: see `forward`.
        """
        require_images(images)
        size = size or (images.shape[2], images.shape[3])
        require_size(size)
        protocol = self.protocol.on(setting)
        methods = [method.on(setting) for method in self.methods]
        text = None
        if reading := [method.name for method in methods if loaded_reading(method).text]:
            if names is None:
                raise InputError(f"method {reading[0]} reads the names' text embeddings; give them as `names`")
            text = names.background_first
        with stage("forward", images.device):
            pixels = self.prepare(images)
        if protocol.windowed:
            guide = self._guide(images, size)
            windows = encode_windows(pixels, self.encoder, self.patch, methods, protocol, size, text, guide, keep)
            require_features(windows.features)
            return windows
        canvas = self._canvas(images, size, protocol)
        encoding = self.encoder(pixels, methods, text, self._window(images, protocol))
        require_features(encoding.features)
        regions = find_regions(encoding, methods, protocol, canvas, size)
        # Where the label map is stretched over the padding too, so is what guides refinements.
        stretched = protocol.pads and protocol.label_area != "image"
        guide = self._guide(images, size, pixels if stretched else None)
        return WholePictures(encoding, regions, protocol, self.scale, canvas, size, guide, text)

    def large(
        self, picture: NDArray[np.uint8], classifier: TextClassifier, size: Size, method: Method | None = None
    ) -> LargePicture:
        """A picture whose label map is made band by band, equal to `forward`'s and in little memory.

        Args:
            picture: (h, w, 3) uint8 RGB, already of the protocol's geometry.
            classifier: from `classifier`.
            size: (H, W) of the label map.
            method: one of the segmenter's; None takes the first.

        Raises:
            InputError: the protocol has no windows, or the method refines maps of whole pictures.
        """
        method = (method or self.methods[0]).on(classifier.setting)
        protocol = self.protocol.on(classifier.setting)
        require_tiles(protocol, method)
        return LargePicture(
            picture,
            size,
            self._normalised,
            self.encoder,
            self.patch,
            method,
            protocol,
            classifier,
            classifier.background_first if loaded_reading(method).text else None,
            require_features,
        )

    @torch.no_grad()
    def label(
        self,
        encoded: Encoded,
        classifier: TextClassifier,
        present: Tensor | None = None,
        methods: Sequence[Method] | None = None,
    ) -> dict[str, Tensor]:
        """The part of `forward` that names: label maps of pictures that `encode` has seen, by method's name.

        In float32 whatever the precision of the tower: these products cost little, and rounding moves borders.

        Args:
            encoded: from `encode`.
            classifier: any names.
            present: (B, num_labels) bool labels that each picture may get, at least one each; None for all.
            methods: of the segmenter's those that are wanted; None for all.

        Raises:
            InputError: features are those of other names; see `encode`.
        """
        self._require_names(encoded, classifier)
        with torch.autocast(self.device.type, enabled=False):
            asked = [method.on(classifier.setting) for method in self.methods if methods is None or method in methods]
            return {method.name: encoded.labels(method, classifier, present) for method in asked}

    @torch.no_grad()
    def probabilities(
        self, encoded: Encoded, classifier: TextClassifier, methods: Sequence[Method] | None = None
    ) -> dict[str, Tensor]:
        """Softmax over labels by pixel, of pictures that `encode` has seen, by method's name.

        A label has the highest cosine of its names, refined where a method refines; cosines are multiplied by the
        protocol's `logit_scale`, or by the model's own where the protocol has none. "None of these" takes part with
        what neutral words reach by chance. Regions of pictures that are seen whole vote after this, those of windows
        before; rules for the background come after it.

        Args:
            encoded: from `encode`.
            classifier: see `label`.
            methods: see `label`.

        Returns:
            (B, num_labels, H, W) float32 in [0, 1] that sum to 1 over labels.
        """
        self._require_names(encoded, classifier)
        scale = self._softmax_scale(classifier.setting)
        with torch.autocast(self.device.type, enabled=False):
            asked = [method.on(classifier.setting) for method in self.methods if methods is None or method in methods]
            return {method.name: encoded.probabilities(method, classifier, scale) for method in asked}

    @torch.no_grad()
    def named(self, encoded: Windows, classifier: TextClassifier, present: Tensor | None = None) -> dict[str, Named]:
        """`label`, with what label maps are before the background's threshold."""
        self._require_names(encoded, classifier)
        with torch.autocast(self.device.type, enabled=False):
            methods = [method.on(classifier.setting) for method in self.methods]
            return {method.name: encoded.named(method, classifier, present) for method in methods}

    def _require_names(self, encoded: Encoded, classifier: TextClassifier) -> None:
        """Refuses names that features were not read with."""
        if encoded.text is not None and not torch.equal(encoded.text, classifier.background_first):
            reading = next(method.name for method in self.methods if loaded_reading(method).text)
            raise InputError(
                f"method {reading} reads the names, and the images were encoded for others; encode them for each "
                "vocabulary"
            )

    def prepare(self, images: Tensor) -> Tensor:
        """Normalised model input: (B, 3, H, W) uint8 to (B, 3, H', W') float32; see `ops.pixels`.

        With whole patches, except where the protocol cuts windows out later.
        """
        pixels = self._normalised(images)
        return pixels if self.protocol.windowed else fit_to_patches(pixels, self.patch, self.protocol.fit)

    def _canvas(self, images: Tensor, size: Size, protocol: EvaluationProtocol) -> Size:
        """(height, width) in pixels of a label map of `size` that the grid of whole images is stretched over."""
        if protocol.pads and protocol.label_area == "image":
            shown = (images.shape[2], images.shape[3])
            return padded_canvas(shown, size, shown_cell(self.patch, protocol.fit))
        return size

    def _window(self, images: Tensor, protocol: EvaluationProtocol) -> Tensor | None:
        """What the grid of whole images is stretched over, where that is more than the tower sees."""
        return under_patches(self._normalised(images), self.patch, protocol.fit) if protocol.fit == "trim" else None

    def _normalised(self, images: Tensor) -> Tensor:
        return normalise(images, self.mean, self.std, self.protocol.normalisation)

    def _guide(self, images: Tensor, size: Size, pixels: Tensor | None = None) -> GuideOf | None:
        """What guides refinements, still without names; None where no method refines.

        Args:
            images: (B, 3, h, w) uint8 RGB.
            size: (H, W) of the label maps.
            pixels: (B, 3, h', w') normalised, where something else than the images lies under the label maps.
        """
        if not any(method.refine for method in self.methods):
            return None
        pixels = resized(self._normalised(images) if pixels is None else pixels, size)
        shown = denormalise(pixels, self.mean, self.std, self.protocol.normalisation)
        made: dict[object, object] = {}
        return lambda text: Guide(pixels, shown, text, made=made)


def _text_identity(clip: LoadedClip) -> str:
    """What besides weights and tokenizer decides a text embedding: the activation and how the tower is read."""
    return f"{clip.activation} {clip.config_hash}"
