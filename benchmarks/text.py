"""Prompts a second of the text tower: cut and sorted by length as the package does it, and as open_clip does it.

python -m benchmarks.text --share 8
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import measure, record, subjects
from cliptrase import Segmenter, Vocabulary
from cliptrase.clip.templates import TEMPLATES
from cliptrase.clip.text import encode_names
from cliptrase.protocols.table import get_protocol
from cliptrase.vocabulary import single_names
from datamodules.spec import shipped_names


@torch.no_grad()
def untrimmed(model: Any, tokenizer: Callable[[list[str]], Tensor], names: Sequence[str], templates: Any) -> Tensor:
    """One batch a name at the full context length through `encode_text`: (C, E) unit rows."""
    rows = []
    for name in names:
        prompts = F.normalize(model.encode_text(tokenizer([t.replace("{}", name) for t in templates])), dim=-1)
        rows.append(F.normalize(prompts.mean(0), dim=-1))
    return torch.stack(rows)


def compare(model: Any, tokenizer: Any, names: Sequence[str], templates: Sequence[str], rounds: int) -> dict[str, Any]:
    """Milliseconds a prompt of both ways with the same prompts, taken in turns, and how far their results are apart."""
    kept: dict[str, Tensor] = {}

    def ours() -> None:
        kept["ours"] = encode_names(model, tokenizer, names, templates, progress=False)

    def theirs() -> None:
        kept["theirs"] = untrimmed(model, tokenizer, names, templates)

    # Processor time would hide what a second thread brings.
    taken = measure.interleaved({"ours": ours, "theirs": theirs}, rounds, "wall", torch.device("cpu"))
    prompts = len(names) * len(templates)
    return {
        "prompts": prompts,
        "ms_a_prompt": 1000 * taken["ours"] / prompts,
        "ms_a_prompt_untrimmed": 1000 * taken["theirs"] / prompts,
        "ratio": taken["theirs"] / taken["ours"],
        "largest_difference": float((kept["ours"] - kept["theirs"]).abs().max()),
    }


def cached_start(segmenter: Segmenter, names: Sequence[str]) -> float:
    """Seconds until a vocabulary that was encoded before is ready."""
    width = segmenter.model.visual.output_dim
    vocabulary = Vocabulary(single_names(tuple(names)))
    embeddings = F.normalize(torch.randn(len(names), width), dim=-1)
    segmenter.cache.save(vocabulary.names, TEMPLATES[segmenter.protocol.templates], embeddings)
    begin = time.perf_counter()
    segmenter.classifier(vocabulary)
    return time.perf_counter() - begin


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints and stores as CSV."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", default="ViT-B-16", help="open_clip architecture; weights are random")
    parser.add_argument("--names", default="ade847", help="a list of datamodules/vocabularies")
    parser.add_argument("--share", type=int, default=8, help="names drawn from the list for both ways; 0 takes all")
    parser.add_argument("--rounds", type=int, default=2, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=None, help="CSV file; default: one by date in benchmarks/results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    spec = subjects.random_clip(options.model)
    names = shipped_names(options.names)
    templates = TEMPLATES["imagenet"]
    drawn = random.Random(0).sample(names, options.share or len(names))
    row: dict[str, Any] = {"names": len(names), "templates": len(templates), "drawn": len(drawn)}
    row |= compare(spec.model, spec.tokenizer, drawn, templates, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        row["cached_start_s"] = cached_start(Segmenter(spec, get_protocol(), cache_dir=Path(folder)), names)
    print(record.line(row))
    about = record.facts(torch.device("cpu"), model=options.model)
    print(f"written to {record.store('text', [row], about, options.out)}")


if __name__ == "__main__":
    main()
