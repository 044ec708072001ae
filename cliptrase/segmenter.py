"""Pixels and a vocabulary in, label maps out: the method without Lightning."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cliptrase.classification import Size, patch_logits
from cliptrase.clustering import dbscan
from cliptrase.correlation import remove_global_patches, self_correlation
from cliptrase.encoder import Encoding, VisualEncoder, Walk
from cliptrase.errors import InputError
from cliptrase.methods import Method, Vote, get_method
from cliptrase.picture import Segmentation, fit, upright
from cliptrase.pixels import pad_and_halve, padded_canvas, to_whole_patches
from cliptrase.protocol import Protocol
from cliptrase.regions import majority_vote, mean_logits_vote, region_map
from cliptrase.templates import TEMPLATES
from cliptrase.text import TextCache, default_cache_dir, encode_names
from cliptrase.timing import StageTimer
from cliptrase.upsampling import upsampled_argmax
from cliptrase.vocabulary import Vocabulary, parse_words
from cliptrase.weights import Activation, LoadedClip, load_clip


@dataclass(frozen=True)
class TextClassifier:
    """A vocabulary made ready for the model.

    Attributes:
        embeddings: (C, E) float32 unit rows, one a name.
        fold: (C,) int64, label of each name.
        num_labels: number of labels.
        class_token_weighting: whether logits are multiplied by the class token's own (VOC20 in the released code).
    """

    embeddings: Tensor
    fold: Tensor
    num_labels: int
    class_token_weighting: bool = False


class Segmenter(nn.Module):
    """A training-free open-vocabulary segmenter.

    Args:
        clip: a loaded CLIP model.
        protocol: geometry, templates and clustering parameters.
        methods: what to compute, the first being the one that `segment` returns; see `methods.get_method`.
        cache_dir: folder of encoded vocabularies; None takes the user's cache folder.

    Raises:
        InputError: a tower or method that cannot be used.
    """

    def __init__(
        self,
        clip: LoadedClip,
        protocol: Protocol | None = None,
        methods: Sequence[str] = ("cliptrase",),
        cache_dir: Path | None = None,
    ) -> None:
        super().__init__()
        self.protocol = protocol or Protocol()
        self.methods: list[Method] = list({method.name: method for method in map(get_method, methods)}.values())
        self.card = clip
        self.encoder = VisualEncoder(clip.model.visual)
        self.encoder.require(self.methods)
        self.clip = clip.model
        if self.protocol.name == "paper" and any(self.protocol.size % side for side in self.patch):
            side = self.patch[0]
            below = self.protocol.size // side * side
            raise InputError(
                f"--protocol.size {self.protocol.size} is not a multiple of the tower's patch of {side} pixels; "
                f"take {below + side}" + (f" or {below}" if below else "")
            )
        self.scale = float(clip.model.logit_scale.exp())
        self.cache = TextCache(cache_dir or default_cache_dir(), _text_identity(clip), clip.weights_hash)
        self.timer = StageTimer()
        self.regions: dict[str, Tensor] = {}  # of the last batch, by method that votes: (B, H, W), -1 for none
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(clip.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(clip.std).view(3, 1, 1), persistent=False)

    @classmethod
    def from_pretrained(
        cls,
        clip: str = "ViT-B-16",
        pretrained: str | None = "openai",
        protocol: Protocol | None = None,
        methods: Sequence[str] = ("cliptrase",),
        activation: Activation = "auto",
    ) -> "Segmenter":
        """A segmenter from open_clip's names, a folder or a file; see `weights.load_clip`.

        Without a protocol it is made for `segment`: whole pictures, shorter side to 336.
        """
        protocol = protocol or Protocol("photos", longest=1344)
        return cls(load_clip(clip, pretrained, activation), protocol, methods)

    def segment(self, picture: Image.Image, words: str, background: str = "") -> Segmentation:
        """Segments one picture of any size by words.

        Args:
            picture: any PIL image.
            words: "cat, kitten; dog": `;` between classes, `,` between synonyms.
            background: "wall, floor": prompts for everything else.

        Returns:
            the first method's label map at the picture's own size, with names and an overlay.

        Raises:
            InputError: the segmenter's protocol is another than `photos`, or there are no words.
        """
        if self.protocol.name != "photos":
            raise InputError(f"segment() needs Protocol('photos'), not {self.protocol.name!r}; forward() takes batches")
        vocabulary = parse_words(words, background)
        whole = upright(picture)
        shown = fit(whole, self.protocol.size, self.protocol.longest).to(self.device)
        labels = self(shown, self.classifier(vocabulary), (whole.height, whole.width))[self.methods[0].name][0]
        return Segmentation(np.array(whole), labels.cpu().numpy(), vocabulary.label_names)

    @property
    def patch(self) -> Size:
        """(height, width) of a patch in pixels."""
        height, width = self.encoder.tower.patch_size
        return int(height), int(width)

    @property
    def _vote(self) -> Vote:
        return "mean" if self.protocol.name == "detectron2" else "majority"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.mean.device

    def classifier(
        self, vocabulary: Vocabulary, class_token_weighting: bool = False, progress: bool = True
    ) -> TextClassifier:
        """The vocabulary's text classifier, from the cache where it was encoded before.

        Args:
            vocabulary: names, synonyms and background.
            class_token_weighting: see `TextClassifier`.
            progress: whether to show a progress bar while encoding.
        """
        templates = TEMPLATES[self.protocol.templates]
        with self.timer.stage("text"):
            embeddings = self.cache.load(vocabulary.names, templates)
            if embeddings is None:
                embeddings = encode_names(self.clip, self.card.tokenizer, vocabulary.names, templates, progress)
                self.cache.save(vocabulary.names, templates, embeddings)
        fold = torch.tensor(vocabulary.fold, device=self.device)
        return TextClassifier(embeddings.to(self.device), fold, vocabulary.num_labels, class_token_weighting)

    @torch.no_grad()
    def forward(self, images: Tensor, classifier: TextClassifier, size: Size | None = None) -> dict[str, Tensor]:
        """Label maps of a batch of pictures of one size.

        Args:
            images: (B, 3, H, W) uint8 RGB, already of the protocol's geometry. Under `paper` H and W are multiples
                of the patch.
            classifier: from `classifier`.
            size: (height, width) of the label maps; None takes the pictures' own.

        Returns:
            for each method's name (B, height, width) int64 labels in [0, classifier.num_labels).

        Raises:
            ValueError: a side is not a whole number of patches.
        """
        size = size or (images.shape[2], images.shape[3])
        shown = (images.shape[2], images.shape[3])
        # The released protocols stretch what the tower saw, padding included, to the label map; `photos` does not.
        canvas = padded_canvas(shown, size, self.patch) if self.protocol.name == "photos" else size
        with self.timer.stage("forward", images.device):
            pixels = self.prepare(images)
            encoding = self.encoder(pixels, self.methods)
        self.regions = {
            name: found for walk in encoding.walks for name, found in self._regions(walk, canvas, size).items()
        }
        return {
            method.name: self._label(encoding, method, classifier, canvas, size, self.regions.get(method.name))
            for method in self.methods
        }

    def prepare(self, images: Tensor) -> Tensor:
        """Normalised model input: (B, 3, H, W) uint8 to (B, 3, H', W') float32 with whole patches; see `pixels`."""
        pixels = (images.float() / 255 - self.mean) / self.std
        if self.protocol.name == "paper":
            return pixels
        made_whole = to_whole_patches if self.protocol.name == "photos" else pad_and_halve
        return made_whole(pixels, self.patch)

    def _regions(self, walk: Walk, canvas: Size, size: Size) -> dict[str, Tensor]:
        """By method of the walk that votes, (B, H, W) region of every pixel, -1 where a picture has none.

        Regions come from CLIP's own blocks, not from a method's rule: methods of one walk share them.
        """
        voters = [method for method in self.methods if method.regions and method.name in walk.features]
        if not voters:
            return {}
        p = walk.penultimate
        device = p.query.device
        with self.timer.stage("correlation", device):
            correlation = self_correlation(p.query, p.key, p.value)
        found: dict[str, Tensor] = {}
        for denoise in {method.denoise for method in voters}:
            with self.timer.stage("correlation", device):
                affinity = remove_global_patches(correlation) if denoise else correlation[:, 1:, 1:]
            with self.timer.stage("clustering", device):
                clusters = dbscan(affinity, self.protocol.eps, self.protocol.min_samples)
            with self.timer.stage("regions", device):
                regions = region_map(affinity, clusters, p.grid, canvas)[:, : size[0], : size[1]]
            found |= {method.name: regions for method in voters if method.denoise == denoise}
        return found

    def _label(
        self,
        encoding: Encoding,
        method: Method,
        classifier: TextClassifier,
        canvas: Size,
        size: Size,
        regions: Tensor | None,
    ) -> Tensor:
        """(B, H, W) labels of one method: names by patch, then by region."""
        features = encoding.features[method.name].float()
        device = features.device
        if self.protocol.name != "detectron2":
            features = F.normalize(features, dim=-1)
        with self.timer.stage("classification", device):
            logits = patch_logits(features[:, 1:], classifier.embeddings, self.scale, encoding.grid)  # (B, C, h, w)
            weight = None
            if classifier.class_token_weighting:
                weight = self.scale * features[:, 0] @ classifier.embeddings.T  # (B, C)
            if weight is not None and self.protocol.name == "detectron2":
                logits, weight = logits * weight[:, :, None, None], None
            names = upsampled_argmax(logits, canvas, weight)[:, : size[0], : size[1]]
        if regions is None:
            return classifier.fold[names]
        with self.timer.stage("vote", device):
            if (method.vote or self._vote) == "mean":
                # Weighting before the upsampling or after it is the same: a name has one weight.
                weighted = logits if weight is None else logits * weight[:, :, None, None]
                return classifier.fold[mean_logits_vote(weighted, regions, names, canvas)]
            return majority_vote(classifier.fold[names], regions, classifier.num_labels)


def _text_identity(clip: LoadedClip) -> str:
    """What besides the weights decides a text embedding: the activation and the tokenizer's kind."""
    return f"{clip.activation} {type(clip.tokenizer).__name__}"
