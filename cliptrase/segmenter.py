"""A picture of any size and words in, a label map out; `inference.batches` has what works on batches."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from cliptrase.clip import towers
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.guest_weights import find_guest
from cliptrase.clip.requirements import check_guest, check_methods, loaded_reading
from cliptrase.clip.weights import Activation, default_tag, load_clip
from cliptrase.common.errors import InputError
from cliptrase.common.images import PictureLike
from cliptrase.common.resizing import is_large, require_room
from cliptrase.drawing.picture import Segmentation, fit, rgb_of
from cliptrase.inference.batches import BatchSegmenter
from cliptrase.inference.checks import require_features
from cliptrase.inference.features import PatchFeatures, block_of
from cliptrase.methods import Method, get_methods
from cliptrase.ops.precision import Precision
from cliptrase.protocols.table import DEFAULT_FOR_PHOTOS, ProtocolLike, get_protocol
from cliptrase.vocabulary import parse_words

_ATTRIBUTES = ("clip", "encoder", "methods", "model", "protocol", "scale", "to")


class Segmenter(BatchSegmenter):
    """A training-free open-vocabulary segmenter.

    Threads may share one: a call leaves nothing behind that another reads.

    Args:
        clip: a loaded CLIP model.
        protocol: how images are shown and named, by name or as whatever `protocols.get_protocol` takes.
        methods: what to compute, one or several, by name or as a `Method`, the first being the one that `segment`
            returns; see `methods.get_method`.
        cache_dir: folder of encoded vocabularies; None takes the user's cache folder.
        guest: a second tower for methods that read one: what `guest_weights.load_guest` takes (a timm name, a folder or
            a file) or returns, or a vision transformer of timm.
        precision: of the tower and the guest, `auto`, `32-true`, `int8x3`, `bf16-mixed` or `16-mixed`; see
            `ops.precision`.

    Raises:
        InputError: a tower, method or precision that cannot be used, no method, or a guest that no method reads.
    """

    @classmethod
    def from_pretrained(
        cls,
        clip: str = "ViT-B-16",
        pretrained: str | None = None,
        protocol: ProtocolLike | None = None,
        methods: str | Method | Sequence[str | Method] = ("cliptrase",),
        activation: Activation = "auto",
        guest: str | Path | GuestTower | nn.Module | None = None,
        precision: Precision = "32-true",
    ) -> "Segmenter":
        """A segmenter from open_clip's names, a folder or a file; see `weights.load_clip`, and the class for the rest.

        Without `pretrained` an architecture gets OpenAI's weights, where there are any. Without a protocol it is made
        for `segment`: whole pictures, shorter side to 336.
        """
        protocol = get_protocol(DEFAULT_FOR_PHOTOS if protocol is None else protocol)
        pretrained = pretrained or default_tag(clip)
        towers.check(str(clip), pretrained)
        methods = get_methods(methods)
        check_methods(methods, towers.number_of_blocks(clip))  # before anything large is read
        if isinstance(guest, str | Path):
            check_guest(methods, str(guest))
            find_guest(guest)
        return cls(load_clip(clip, pretrained, activation), protocol, methods, guest=guest, precision=precision)

    def segment(
        self,
        picture: PictureLike | Tensor,
        words: str | Sequence[str],
        background: str | Sequence[str] = "",
        threshold: float | str | None = None,
        probabilities: bool = False,
    ) -> Segmentation:
        """Segments one picture of any size by words.

        Args:
            picture: a path, a PIL image of any mode, an array, (H, W, 3) RGB or (H, W) grey, or a tensor, (3, H, W) or
                (1, H, W); numbers are uint8 or in [0, 1].
            words: "cat, kitten; dog": `;` between classes, `,` between synonyms; or a list of such texts.
            background: "wall, floor": prompts for everything else.
            threshold: makes a pixel "none of these", the last of the names, where no word is likely: `auto` where no
                word, background prompts among them, reaches what neutral words reach there by chance; a number in
                [0, 1] where no label has that probability. None or `none` gives every pixel a word.
            probabilities: whether `Segmentation.probabilities` is wanted; see `probabilities`.

        Returns:
            the first method's label map at the picture's own size, with names and an overlay.

        Raises:
            InputError: the segmenter's protocol crops, the picture cannot be read or is too large for probabilities,
                the words or the threshold are not those of `parse_words`.
        """
        if self.protocol.view != "whole_image":
            raise InputError(
                f"segment() needs a protocol of view whole_image, such as {DEFAULT_FOR_PHOTOS!r}, and "
                f"{self.protocol.name!r} has view {self.protocol.view}; forward() takes batches"
            )
        vocabulary = parse_words(words, background, threshold)
        whole = rgb_of(picture)
        size = (whole.shape[0], whole.shape[1])
        shown = fit(whole, self.protocol.size, self.protocol.longest, self.protocol.interpolation)
        if probabilities:
            require_room(vocabulary.num_labels, size, (shown.shape[2], shown.shape[3]))
        names = self.classifier(vocabulary)
        if self.protocol.windowed and not self.methods[0].refine and is_large(size, (shown.shape[2], shown.shape[3])):
            labels = self.large(shown[0].permute(1, 2, 0).numpy(), names, size).label_map()
            return Segmentation(whole, labels, vocabulary.label_names, none=vocabulary.none_index)
        method = self.methods[0]
        found = self(shown.to(self.device), names, size)
        likely = self.probabilities(found.encoded, names, [method]) if probabilities else None
        return Segmentation(
            whole,
            found.labels[method.name][0].cpu().numpy(),
            vocabulary.label_names,
            likely[method.name][0].cpu().numpy() if likely else None,
            vocabulary.none_index,
        )

    @torch.no_grad()
    def features(
        self,
        picture: PictureLike | Tensor,
        method: str | Method | None = None,
        layer: int | None = None,
        words: str | Sequence[str] = "",
        background: str | Sequence[str] = "",
    ) -> PatchFeatures:
        """Dense features of one picture of any size.

        A method's features are those that its patches are named by, before regions and refinements, which act on
        names. A block before the last gives CLIP's own tokens, which methods share: no method changes them, except that
        a second stream runs beside its last blocks, and has no features of its own there.

        Args:
            picture: see `segment`.
            method: one of the segmenter's; None takes the first.
            layer: a block, counted from 0, or from the end: -1 is the last. None takes the method's features, as the
                last block does.
            words: for methods that read the names; see `segment`.
            background: likewise.

        Raises:
            InputError: windows are the protocol's, or it crops; no such method or block; a block where the method has a
                second stream; a method that reads names gets none; or a picture that cannot be read.
        """
        if self.protocol.view != "whole_image" or self.protocol.windowed:
            raise InputError(
                f"features() shows pictures whole, as {DEFAULT_FOR_PHOTOS!r} does, and {self.protocol.name!r} shows "
                f"{'windows' if self.protocol.windowed else self.protocol.view}; encode() takes batches under it"
            )
        asked = self._method(method)
        blocks = len(self.encoder.tower.transformer.resblocks)
        block = block_of(asked, blocks, layer)
        whole = rgb_of(picture)
        images = fit(whole, self.protocol.size, self.protocol.longest, self.protocol.interpolation).to(self.device)
        pixels, size = self.prepare(images), (whole.shape[0], whole.shape[1])
        canvas = self._canvas(images, size, self.protocol)
        if block < blocks - 1:
            tokens = self.encoder.tokens(pixels, block, asked.position_embedding)[0].float()
            grid = (pixels.shape[2] // self.patch[0], pixels.shape[3] // self.patch[1])
        else:
            text = None
            if loaded_reading(asked).text:
                text = self.classifier(parse_words(words, background)).background_first
            encoding = self.encoder(pixels, [asked], text, self._window(images, self.protocol))
            require_features(encoding.features)
            tokens, grid = encoding.features[asked.name][0].float(), encoding.grids[asked.name]
        return PatchFeatures(tokens[1:].unflatten(0, grid), tokens[0], block == blocks - 1, size, canvas)

    def _method(self, name: str | Method | None) -> Method:
        """One of the segmenter's methods."""
        for method in self.methods:
            if name is None or name in (method, method.name):
                return method
        raise InputError(
            f"the segmenter has no method {name if isinstance(name, str) else getattr(name, 'name', name)!r}; it has "
            f"{', '.join(method.name for method in self.methods)}, and takes others where it is made"
        )

    def __dir__(self) -> list[str]:
        """Names for completion: the segmenter's own, without what every `nn.Module` has."""
        return sorted(name for name in (*vars(Segmenter), *vars(BatchSegmenter), *_ATTRIBUTES) if name[0] != "_")
