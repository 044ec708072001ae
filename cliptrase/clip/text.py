"""Text classifiers: one unit vector a name, averaged over prompt templates, cached on disk."""

import hashlib
import json
import os
import re
import stat
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transformer import text_global_pool
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from cliptrase.common.errors import InputError, first_few, one_line
from cliptrase.common.io import OutputError, write_bytes
from cliptrase.vocabulary import as_read, shown

Tokenizer = Callable[[list[str]], Tensor]

_BATCH = 640
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_FORMAT = "2"  # part of the key: raised when embeddings of the same inputs would come out differently


def default_cache_dir() -> Path:
    """Where text classifiers are kept: `$CLIPTRASE_CACHE`, or `cliptrase` in the user's cache folder."""
    own = os.environ.get("CLIPTRASE_CACHE")
    if own:
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cliptrase"
    except RuntimeError:  # a user without a home: nothing is kept, and the warning says how to change that
        return Path(os.devnull) / "cliptrase"


def encode_prompts(model: Any, tokens: Tensor) -> Tensor:
    """Unit embeddings of tokenised prompts.

    CLIP's text tower is causal and reads the end-of-text token (the highest id), so what comes after the batch's
    longest prompt is cut off without changing the result. Towers that pool otherwise are run at their full length.

    Args:
        model: an open_clip model.
        tokens: (P, L) token ids, padded with 0.

    Returns:
        (P, E) float32, unit rows.
    """
    with torch.autocast(tokens.device.type, enabled=False):
        causal = isinstance(model, open_clip.CLIP) and model.attn_mask is not None
        if not (causal and model.text_pool_type == "argmax"):
            return F.normalize(model.encode_text(tokens).float(), dim=-1)
        length = int(tokens.argmax(1).max()) + 1
        tokens = tokens[:, :length]
        x = model.token_embedding(tokens) + model.positional_embedding[:length]  # (P, length, W)
        x = model.transformer(x, attn_mask=model.attn_mask[:length, :length])
        x = text_global_pool(model.ln_final(x), tokens, model.text_pool_type)
        projection = model.text_projection
        if projection is not None:
            x = projection(x) if isinstance(projection, nn.Linear) else x @ projection
        return F.normalize(x.float(), dim=-1)


def check_names(tokenizer: Tokenizer, names: Sequence[str], labels: Sequence[int], templates: Sequence[str]) -> None:
    """Asks whether the text tower can tell the names apart: it reads a fixed number of tokens and cuts the rest off.

    Warns of names whose prompts are cut.

    Args:
        tokenizer: strings to (P, L) token ids.
        names: C names.
        labels: label of each.
        templates: T prompts with `{}` where the name goes.

    Raises:
        InputError: the tokenizer reads nothing of a name, or names of two labels alike.
    """
    alone = tokenizer(list(names))  # (C, L)
    (nothing,) = tokenizer([""])
    for name, row in zip(names, alone, strict=True):
        if torch.equal(row, nothing):
            raise InputError(f"the tokenizer reads nothing of the name {name!r}; take another word for it")
    length, padding = alone.shape[1], nothing[-1]
    taken = int((tokenizer(list(templates)) != padding).sum(1).max())  # by the longest template, `{}` itself included
    long = {place for place, count in enumerate((alone != padding).sum(1).tolist()) if count + taken > length}
    read: dict[bytes, int] = {}
    cut = []
    for place, row in enumerate(alone):
        key = row.numpy().tobytes()
        if place in long:
            prompts = tokenizer([template.replace("{}", names[place]) for template in templates])
            # Where a prompt is cut, a further word changes nothing.
            longer = tokenizer([template.replace("{}", names[place]) + " word" for template in templates])
            if bool((prompts == longer).all(1).any()):
                cut.append(names[place])
            key = prompts.numpy().tobytes()
        other = read.setdefault(key, place)
        if labels[other] != labels[place] and as_read(names[other]) != as_read(names[place]):
            pair = f"{shown(names[other])} and {shown(names[place])}"
            if place in long:
                raise InputError(
                    f"the text tower reads {length} tokens, by which {pair} are the same; shorten them to what differs"
                )
            raise InputError(f"the tokenizer reads {pair} alike; take another word for one of them")
    if cut:
        several = f"{len(cut)} names are" if len(cut) > 1 else "1 name is"
        warnings.warn(
            f"the text tower reads {length} tokens, and {several} longer with the templates, so that their ends count "
            f"for nothing: {first_few(map(shown, cut))}",
            stacklevel=2,
        )


@torch.no_grad()
def encode_names(
    model: Any, tokenizer: Tokenizer, names: Sequence[str], templates: Sequence[str], progress: bool = True
) -> Tensor:
    """Text classifier: for each name the mean of its prompts' unit embeddings, made unit length.

    Args:
        model: an open_clip model.
        tokenizer: strings to (P, L) token ids.
        names: C names.
        templates: T prompts with `{}` where the name goes.
        progress: whether to show a progress bar.

    Returns:
        (C, E) float32 on the model's device.
    """
    device = next(model.parameters()).device
    prompts = [template.replace("{}", name) for name in names for template in templates]
    tokens = torch.cat([tokenizer(prompts[i : i + 4096]) for i in range(0, len(prompts), 4096)])
    # Prompts of one length go together, so that a long one does not make a whole batch long.
    order = tokens.argmax(1).argsort(stable=True)
    embeddings = torch.empty(0)
    with tqdm(total=len(prompts), desc="text", unit="prompt", disable=None if progress else True, leave=False) as bar:
        for part in order.split(_BATCH):
            encoded = encode_prompts(model, tokens[part].to(device))
            if not len(embeddings):
                embeddings = encoded.new_empty(len(prompts), encoded.shape[1])
            embeddings[part.to(device)] = encoded
            bar.update(len(part))
    means = embeddings.unflatten(0, (len(names), len(templates))).mean(1)  # (C, E)
    return F.normalize(means, dim=-1)


class TextCache:
    """Text classifiers on disk, one file for a model, its weights' content, its tokenizer, the templates and the names.

    A file that cannot be read, was changed or belongs to other inputs is never used: it is made anew, with a warning.
    A folder that cannot be written costs the next start its time, and this one nothing but a warning.

    Args:
        directory: folder of the files; made when needed.
        model: what else decides an embedding: configuration and activation.
        weights: hash of the weights' content.
        tokenizer: the model's.
    """

    def __init__(self, directory: Path, model: str, weights: str, tokenizer: Tokenizer) -> None:
        self.directory, self.weights = directory, weights
        self.identity = [_FORMAT, open_clip.__version__, model, weights]
        self.tokenizer = tokenizer
        self._keys: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}

    def path(self, names: Sequence[str], templates: Sequence[str]) -> Path:
        """File for these names and templates."""
        return self.directory / f"text-{self._key(names, templates)[:32]}.safetensors"

    def load(self, names: Sequence[str], templates: Sequence[str]) -> Tensor | None:
        """The stored (C, E) classifier, or None where there is none that can be trusted."""
        path = self.path(names, templates)
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                raise OSError("it is not a file")
            with safe_open(path, framework="pt") as file:
                stored = file.metadata() or {}
                classifier: Tensor = file.get_tensor("classifier")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (SafetensorError, OSError) as error:
            warnings.warn(f"text cache {path} cannot be read ({one_line(error)}); it is made anew", stacklevel=2)
            return None
        sound = classifier.dtype == torch.float32 and classifier.ndim == 2 and len(classifier) == len(names)
        told = stored.get("key") == self._key(names, templates) and sound and stored.get("content")
        if not told or told != _content(classifier) or not classifier.isfinite().all():
            warnings.warn(f"text cache {path} was changed or belongs to another run; it is made anew", stacklevel=2)
            return None
        return classifier

    def save(self, names: Sequence[str], templates: Sequence[str], classifier: Tensor) -> None:
        """Stores a (C, E) classifier: written beside its place, synced and renamed; warns where that cannot be done."""
        path = self.path(names, templates)
        classifier = classifier.cpu().contiguous()
        metadata = {"key": self._key(names, templates), "content": _content(classifier)}
        try:
            write_bytes(path, serialise({"classifier": classifier}, metadata=metadata))
        except OutputError as error:
            reason = getattr(error.__cause__, "strerror", None) or one_line(error)
            warnings.warn(
                f"encoded text is not kept for the next run: {self.directory} cannot be written ({reason}); "
                "name another folder by CLIPTRASE_CACHE",
                stacklevel=2,
            )

    def _key(self, names: Sequence[str], templates: Sequence[str]) -> str:
        asked = tuple(names), tuple(templates)
        if asked not in self._keys:
            content = [self.identity, tokenizer_hash(self.tokenizer, *asked), asked[1], asked[0]]
            self._keys[asked] = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
        return self._keys[asked]


def tokenizer_hash(tokenizer: Tokenizer, names: Sequence[str], templates: Sequence[str]) -> str:
    """SHA-256 of what the tokenizer makes of these names and templates.

    Of CLIP's own tokenizer, which takes seconds for tens of thousands of prompts, it is of the tables and rules that it
    works by, and of the token ids of every name in one template and of one name in every template. Of another tokenizer
    it is of the token ids of all prompts.
    """
    pairs = [(name, template) for name in names for template in templates]
    found = hashlib.sha256()
    if type(tokenizer) is open_clip.SimpleTokenizer:
        for key, value in sorted(vars(tokenizer).items()):
            if key != "cache":  # grows with use
                rule = getattr(value, "pattern", getattr(value, "__qualname__", value))
                found.update(f"{key} {_ADDRESS.sub('', repr(rule))}\n".encode(errors="surrogatepass"))
        pairs = [pair for pair in pairs if pair[0] == names[0] or pair[1] == templates[0]]
    prompts = [template.replace("{}", name) for name, template in pairs]
    for start in range(0, len(prompts), 4096):
        tokens = tokenizer(prompts[start : start + 4096])
        found.update(f"{tuple(tokens.shape)}".encode() + tokens.to(torch.int32).numpy().tobytes())
    return found.hexdigest()


def _content(tensor: Tensor) -> str:
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
