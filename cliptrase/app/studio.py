"""The model behind the page: a picture is encoded once by each method, and named by any words after that."""

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cliptrase.app.cache import Cache
from cliptrase.app.limits import SECONDS, Deadline, require_size
from cliptrase.clip.guest import GuestTower
from cliptrase.clip.requirements import loaded_reading
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.common.images import Reader
from cliptrase.drawing.overlay import Picture
from cliptrase.drawing.picture import fit
from cliptrase.global_patches.analysis import GlobalPatches, analyse
from cliptrase.global_patches.view import seen_size, show
from cliptrase.inference.batches import Encoded
from cliptrase.methods import METHODS, get_method
from cliptrase.protocols.protocol import EvaluationProtocol
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, parse_words

_PIXELS = 3e7  # of pictures whose features and regions are kept


@dataclass(frozen=True)
class Shown:
    """A picture that somebody gave.

    Attributes:
        name: of its file, without folders.
        pixels: (H, W, 3) uint8 RGB, upright.
        digest: of the pixels.
    """

    name: str
    pixels: Picture
    digest: str


@dataclass(frozen=True)
class Answer:
    """What the page says of a picture.

    Attributes:
        shown: the picture.
        words: as typed.
        background: as typed.
        threshold: of "none of these", as chosen.
        vocabulary: what they stand for.
        maps: by method's name (H, W) labels of the vocabulary.
        seconds: that the answer took.
    """

    shown: Shown
    words: str
    background: str
    threshold: float | str | None
    vocabulary: Vocabulary
    maps: Mapping[str, NDArray[np.integer[Any]]]
    seconds: float


class Studio:
    """A loaded model under one protocol. Threads may share one.

    Args:
        clip: from `load_clip`.
        protocol: one that shows whole pictures.
        guest: a second tower for methods that read one.
        cache_dir: see `Segmenter`.
        seconds: that an answer may take.
        stopping: set where answers are to be given up.

    Raises:
        InputError: the protocol crops, or no method can be had.
    """

    def __init__(
        self,
        clip: LoadedClip,
        protocol: EvaluationProtocol,
        guest: GuestTower | None = None,
        cache_dir: Path | None = None,
        seconds: float = SECONDS,
        stopping: threading.Event | None = None,
    ) -> None:
        if protocol.view != "whole_image":
            raise InputError(
                f"`protocol` {protocol.name!r} crops, and the page shows whole pictures; take photos, whole or tiles"
            )
        self.clip, self.protocol, self.guest = clip, protocol, guest
        self._cache_dir, self._seconds = cache_dir, seconds
        self._stopping = stopping
        self._segmenters: Cache[Segmenter] = Cache(64)
        self._encoded: Cache[Encoded] = Cache(_PIXELS)
        self._patches: Cache[GlobalPatches] = Cache(8)
        self.methods = tuple(name for name in METHODS if self._can_use(name))
        self._any = self.segmenter(self.methods[0])

    def segmenter(self, name: str) -> Segmenter:
        """The segmenter of a method.

        Raises:
            InputError: there is no such method, or this model, protocol or guest cannot serve it.
        """
        method = get_method(name)

        def make() -> Segmenter:
            guest = self.guest if loaded_reading(method).guest else None
            return Segmenter(self.clip, self.protocol, method, self._cache_dir, guest).eval()

        return self._segmenters.get(method, make)

    def _can_use(self, name: str) -> bool:
        try:
            return bool(self.segmenter(name))
        except InputError:
            return False

    @property
    def side(self) -> int | None:
        """Pixels of the shorter side where attention is looked at; None for the tower's own."""
        return self.protocol.size if isinstance(self.protocol.size, int) else None

    def read(self, path: str | Path | None, name: str | None = None) -> Shown:
        """A picture from a file.

        Args:
            path: of the file, None where there is none.
            name: that the file had before it was uploaded.

        Raises:
            InputError: there is none, it cannot be read, or it is too large.
        """
        if not path:
            raise InputError("there is no picture yet; upload, paste or take one, or choose an example")
        reader, name = Reader(), Path(name or path).name
        try:
            require_size(*reader.header(Path(path)).upright)
            pixels = reader.picture(Path(path))
        except InputError as error:
            raise InputError(str(error).replace(str(path), name)) from error
        return Shown(name, pixels, hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest())

    def segment(
        self,
        shown: Shown,
        words: str,
        background: str,
        methods: Sequence[str],
        threshold: float | str | None = None,
    ) -> Answer:
        """Labels a picture by each of some methods.

        Args:
            shown: from `read`.
            words: see `parse_words`.
            background: likewise.
            methods: one or several; equal ones count once.
            threshold: see `parse_words`.

        Raises:
            InputError: the words, the threshold or a method cannot be used, or time is up.
        """
        start = time.monotonic()
        vocabulary = parse_words(words, background, threshold)
        maps: dict[str, NDArray[np.integer[Any]]] = {}
        with self._deadline():
            for name in dict.fromkeys(methods):
                segmenter = self.segmenter(name)
                maps[segmenter.methods[0].name] = self._labels(segmenter, shown, vocabulary)
        return Answer(shown, words, background, vocabulary.threshold, vocabulary, maps, time.monotonic() - start)

    def _labels(self, segmenter: Segmenter, shown: Shown, vocabulary: Vocabulary) -> NDArray[np.integer[Any]]:
        """(H, W) labels, as `Segmenter.segment` gives them."""
        method, names = segmenter.methods[0], segmenter.classifier(vocabulary, progress=False)
        size = shown.pixels.shape[0], shown.pixels.shape[1]

        def make() -> Encoded:
            protocol = segmenter.protocol
            images = fit(shown.pixels, protocol.size, protocol.longest, protocol.interpolation).to(segmenter.device)
            return segmenter.encode(images, size, names=names if segmenter.reads_names else None)

        key = shown.digest, method, vocabulary.digest if segmenter.reads_names else ""
        encoded = self._encoded.get(key, make, size[0] * size[1])
        labels: NDArray[np.integer[Any]] = segmenter.label(encoded, names)[method.name][0].cpu().numpy()
        return labels

    def _deadline(self) -> Deadline:
        return Deadline(self._seconds, stopping=self._stopping)

    def cell(self, shown: Shown) -> tuple[float, float]:
        """(height, width) of a patch as shares of the picture's, by which a click finds its patch."""
        patch = self._any.patch
        height, width = seen_size(shown.pixels.shape[0], shown.pixels.shape[1], self._any.encoder, self.side)
        return patch[0] / height, patch[1] / width

    def patches(self, shown: Shown) -> GlobalPatches:
        """Where attention goes in a picture, all its patches chosen.

        Raises:
            InputError: time is up.
        """

        def make() -> GlobalPatches:
            with self._deadline():
                _, pixels = show(shown.pixels, self.clip, self._any.encoder, self.side)
                patch = self._any.patch
                rows, columns = pixels.shape[2] // patch[0], pixels.shape[3] // patch[1]
                every = [(row, column) for row in range(rows) for column in range(columns)]
                return analyse(self._any.encoder, pixels.to(self._any.device), every)

        return self._patches.get(shown.digest, make)
