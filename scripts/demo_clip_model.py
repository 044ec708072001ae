"""The demo's CLIP while it learns: open_clip's own modules, fed with chosen patches and known words only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from demo_clip_data import PATCH, listed
from numpy.typing import NDArray
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, OPENAI_IMAGENET_TEMPLATES
from safetensors.torch import save as serialise
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.shapes_scenes import NAMES, SIZE

CONFIG: dict[str, Any] = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": SIZE, "patch_size": PATCH, "layers": 6, "width": 192, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3},
}
"""open_clip's JSON form. The text tower is narrow because the 49,408 rows of its vocabulary have to ship."""

EARLY = 0.3
"""What the first weights of ln_pre and of the branches of all blocks but the last are multiplied by.

Found by trial: with both scaled, patches line up with words much better than with open_clip's own start or with
either alone (each recipe tried with one seed). A guess at the reason: a short residual stream leaves it to the last
block to fetch what the class token reports, and so to the values of single patches to carry it.
"""


class Trainee(nn.Module):
    """A CLIP that embeds a picture from some of its patches, and captions of the demo's own words.

    The embedding table holds only the words that captions can have; `state` puts them back among all 49,408.
    """

    known: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.clip = open_clip.CLIP(**CONFIG)
        self.tokenize = open_clip.SimpleTokenizer(context_length=CONFIG["text_cfg"]["context_length"])
        visual = self.clip.visual
        with torch.no_grad():
            visual.ln_pre.weight.mul_(EARLY)
            for block in visual.transformer.resblocks[:-1]:
                block.attn.out_proj.weight.mul_(EARLY)
                block.mlp.c_proj.weight.mul_(EARLY)
        prompts = [template(listed([name, name, name])) for template in OPENAI_IMAGENET_TEMPLATES for name in NAMES]
        self.all_words = self.clip.token_embedding.weight.detach().clone()  # (49408, text width)
        known = torch.unique(self.tokenize(prompts))  # sorted, so the end of text keeps the highest number
        self.clip.token_embedding = nn.Embedding.from_pretrained(self.all_words[known], freeze=False)
        self.register_buffer("known", known)
        self.register_buffer("mean", 255 * torch.tensor(OPENAI_DATASET_MEAN).repeat(PATCH * PATCH))
        self.register_buffer("std", 255 * torch.tensor(OPENAI_DATASET_STD).repeat(PATCH * PATCH))

    def pictures(self, patches: NDArray[np.uint8], places: NDArray[np.int64]) -> Tensor:
        """Unit embeddings (B, 64) of pictures given as patches (B, T, 768) at places (B, T) of the grid."""
        visual, device = self.clip.visual, self.mean.device
        pixels = (torch.from_numpy(patches).to(device).float() - self.mean) / self.std
        kernel = visual.conv1.weight.permute(0, 2, 3, 1).flatten(1)  # (width, 768), laid out as the patches are
        position = visual.positional_embedding
        x = F.linear(pixels, kernel) + position[1:][torch.from_numpy(places).to(device)]
        first = (visual.class_embedding + position[0]).expand(len(x), 1, -1)
        x = visual.transformer(visual.ln_pre(torch.cat([first, x], dim=1)))  # (B, 1 + T, width)
        return F.normalize(visual.ln_post(x[:, 0]) @ visual.proj, dim=-1)

    def sentences(self, captions: list[str]) -> Tensor:
        """Unit embeddings (B, 64) of captions, read only up to the longest of them.

        Raises:
            ValueError: a caption has a word that is in none of the templates and names.
        """
        clip = self.clip
        tokens = self.tokenize(captions).to(self.known.device)
        length = int((tokens != 0).sum(dim=1).max())
        tokens = tokens[:, :length].contiguous()
        ids = torch.searchsorted(self.known, tokens)
        if not torch.equal(self.known[ids.clamp_max(len(self.known) - 1)], tokens):
            raise ValueError(f"{captions} have a word that the demo's templates and names do not: leave it out")
        x = clip.token_embedding(ids) + clip.positional_embedding[:length]
        x = clip.ln_final(clip.transformer(x, attn_mask=clip.attn_mask[:length, :length]))
        ends = tokens.argmax(dim=1)
        return F.normalize(x[torch.arange(len(x), device=x.device), ends] @ clip.text_projection, dim=-1)

    def state(self) -> dict[str, Tensor]:
        """The weights under open_clip's names, in half precision, with the whole vocabulary."""
        weights = {name: weight.detach().cpu() for name, weight in self.clip.state_dict().items()}
        words = self.all_words.clone()
        words[self.known.cpu()] = weights["token_embedding.weight"]
        weights["token_embedding.weight"] = words
        return {name: weight.half().contiguous() for name, weight in weights.items()}


def save(model: Trainee, folder: Path) -> None:
    """Write what `open_clip.create_model_and_transforms("local-dir:<folder>")` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    preprocess = {"mean": OPENAI_DATASET_MEAN, "std": OPENAI_DATASET_STD, "interpolation": "bicubic"}
    config = {"model_cfg": CONFIG, "preprocess_cfg": {**preprocess, "resize_mode": "shortest"}}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "open_clip_model.safetensors").write_bytes(serialise(model.state()))
