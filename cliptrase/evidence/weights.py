"""Whether weights are those that they are said to be: their file, their text embeddings, their activation."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from cliptrase.clip.checkpoint import is_torchscript
from cliptrase.clip.text import encode_prompts
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError, counted, one_line
from cliptrase.common.io import read_regular

_CHUNK = 1 << 24


@dataclass(frozen=True)
class Facts:
    """What is known of a model's text tower and file.

    Attributes:
        model: open_clip's architecture.
        pretrained: whose weights, open_clip's tag.
        source: where the embeddings were read.
        sha256: of the file as it was published.
        activation: which GELU the weights were trained with.
        tolerance: by which coordinates and cosines may differ.
        prompt: with `{}` where a name goes.
        names: N of them.
        first: by name the first coordinates of its prompt's unit embedding.
        cosine: by name the cosines with every name.
    """

    model: str
    pretrained: str
    source: str
    sha256: str
    activation: str
    tolerance: float
    prompt: str
    names: Sequence[str]
    first: Mapping[str, Sequence[float]]
    cosine: Mapping[str, Sequence[float]]

    @property
    def title(self) -> str:
        """`ViT-B-16 openai`."""
        return f"{self.model} {self.pretrained}"


@dataclass(frozen=True)
class WeightsCheck:
    """What became of the question whether weights are those of the facts.

    Attributes:
        title: of the facts.
        file: that the weights were read from, None where it is not known.
        sha256: of that file.
        published: whether that is the published file.
        activation: which GELU the model runs with.
        lines: what was compared, a sentence each.
        wrong: what contradicts the facts, a few words each.
    """

    title: str
    file: str | None
    sha256: str | None
    published: bool
    activation: str
    lines: Sequence[str]
    wrong: Sequence[str]

    @property
    def verified(self) -> bool:
        """Whether nothing contradicts the facts."""
        return not self.wrong

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.wrong:
            return f"these are not the weights {self.title}: {'; '.join(self.wrong)}"
        if self.published:
            return f"verified: these are the weights {self.title}: the file is the published one, and its text agrees"
        return (
            f"verified: the text tower is that of {self.title}; the file is not the published one, so that nothing is "
            "proved of the visual tower"
        )

    def record(self) -> dict[str, Any]:
        """The same for scripts."""
        return {**asdict(self), "verified": self.verified, "verdict": self.verdict}


def read_facts(path: Path | None = None) -> Facts:
    """Facts of a YAML file; without one those of OpenAI's ViT-B/16 that come with the package.

    Raises:
        InputError: it cannot be read, or holds no such facts.
    """
    try:
        if path is None:
            text = resources.files("cliptrase.evidence").joinpath("openai_text.yaml").read_text(encoding="utf-8")
        else:
            text = read_regular(path).decode()
        facts = Facts(**yaml.safe_load(text))
        size, width = len(facts.names), {len(facts.first[name]) for name in facts.names}
        cosines = {len(facts.cosine[name]) for name in facts.names}
        torch.tensor([[*facts.first[name], *facts.cosine[name]] for name in facts.names], dtype=torch.float64)
        if size < 2 or len(width) != 1 or 0 in width or cosines != {size} or "{}" not in facts.prompt:
            raise ValueError("prompt, names, first and cosine do not go together")
        if not 0 < float(facts.tolerance) < 1:
            raise ValueError(f"tolerance {facts.tolerance} is not between 0 and 1")
    except (OSError, ValueError, TypeError, KeyError, yaml.YAMLError, RecursionError) as error:
        raise InputError(
            f"`facts` {path} cannot be used ({one_line(error)}); write it like cliptrase/evidence/openai_text.yaml"
        ) from error
    return facts


@torch.no_grad()
def check_weights(clip: LoadedClip, file: Path | None, facts: Facts) -> WeightsCheck:
    """Compares a model with facts.

    Args:
        clip: the model.
        file: that it was read from, where that is known.
        facts: what it should give.

    Raises:
        InputError: the file was written to since it was read.
    """
    lines, wrong = [], []
    digest = None if file is None else _sha256(file)
    published = digest == facts.sha256
    if file is not None:
        is_it = "the published one" if published else f"not the published {facts.sha256}"
        lines.append(f"file: {file} has SHA-256 {digest}, {is_it}")
        if not published and is_torchscript(file):  # in this form it was published once
            wrong.append("the file has the form of the published archive and another SHA-256")
    clip.hold_text()
    embeddings = encode_prompts(clip.model, clip.tokenizer([facts.prompt.replace("{}", name) for name in facts.names]))
    first = torch.tensor([list(facts.first[name]) for name in facts.names])  # (N, K)
    cosine = torch.tensor([list(facts.cosine[name]) for name in facts.names])  # (N, N)
    embeddings = embeddings.cpu()
    found = embeddings[:, : first.shape[1]]
    if found.shape != first.shape:
        wrong.append(f"a text embedding has {counted(embeddings.shape[1], 'coordinate')}")
    else:
        what = f"the first {first.shape[1]} coordinates of {counted(len(facts.names), 'text embedding')}"
        _compare(what, (found - first).abs(), facts, lines, wrong)
    what = f"the cosines of {counted(len(facts.names), 'name')}"
    _compare(what, (embeddings @ embeddings.T - cosine).abs(), facts, lines, wrong)
    same = clip.activation == facts.activation
    lines.append(f"activation: {clip.activation}" + ("" if same else f", not {facts.activation}"))
    if not same:
        wrong.append(f"the model runs with {clip.activation}, not {facts.activation}")
    return WeightsCheck(
        facts.title, None if file is None else str(file), digest, published, clip.activation, lines, wrong
    )


def _compare(what: str, difference: Tensor, facts: Facts, lines: list[str], wrong: list[str]) -> None:
    """Says by how much (N, K) values differ at most, and of which name."""
    most = float(difference.max())
    name = facts.names[int(difference.amax(1).argmax())]
    agree = most <= facts.tolerance  # NaN does not
    words = "agree" if agree else "differ"
    lines.append(f"text: {what} {words}, by at most {most:.4f} ({name!r}) where {facts.tolerance:g} is allowed")
    if not agree:
        wrong.append(f"{what} differ by up to {most:.4f}, of {name!r}")


def _sha256(file: Path) -> str:
    found = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()
