"""Deterministic inputs of the parity kit: a tiny CLIP's weights and synthetic scenes, from numpy seeds alone.

`weights(seed)` gives a state dict with the OpenAI/open_clip parameter names for MODEL_CONFIG;
`scene(seed, height, width)` gives an RGB image and the map of its regions.
"""

import numpy as np

# An open_clip model config: 12 blocks, 2 heads of 64, 16-pixel patches, quick GELU.
MODEL_CONFIG = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 224, "layers": 12, "width": 128, "head_width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}


def _shapes(config=MODEL_CONFIG):
    """Parameter names and shapes, in the order in which the random numbers are drawn."""
    vision, text, embed = config["vision_cfg"], config["text_cfg"], config["embed_dim"]
    width, patch = vision["width"], vision["patch_size"]
    tokens = (vision["image_size"] // patch) ** 2 + 1
    yield "visual.class_embedding", (width,)
    yield "visual.positional_embedding", (tokens, width)
    yield "visual.conv1.weight", (width, 3, patch, patch)
    for norm in ("visual.ln_pre", "visual.ln_post"):
        yield f"{norm}.weight", (width,)
        yield f"{norm}.bias", (width,)
    yield "visual.proj", (width, embed)
    for prefix, dim, layers in (
        ("visual.transformer", width, vision["layers"]),
        ("transformer", text["width"], text["layers"]),
    ):
        for i in range(layers):
            block = f"{prefix}.resblocks.{i}"
            for name, shape in (
                ("ln_1.weight", (dim,)),
                ("ln_1.bias", (dim,)),
                ("attn.in_proj_weight", (3 * dim, dim)),
                ("attn.in_proj_bias", (3 * dim,)),
                ("attn.out_proj.weight", (dim, dim)),
                ("attn.out_proj.bias", (dim,)),
                ("ln_2.weight", (dim,)),
                ("ln_2.bias", (dim,)),
                ("mlp.c_fc.weight", (4 * dim, dim)),
                ("mlp.c_fc.bias", (4 * dim,)),
                ("mlp.c_proj.weight", (dim, 4 * dim)),
                ("mlp.c_proj.bias", (dim,)),
            ):
                yield f"{block}.{name}", shape
    yield "token_embedding.weight", (text["vocab_size"], text["width"])
    yield "positional_embedding", (text["context_length"], text["width"])
    yield "ln_final.weight", (text["width"],)
    yield "ln_final.bias", (text["width"],)
    yield "text_projection", (text["width"], embed)


def weights(seed=0, config=MODEL_CONFIG):
    """float32 arrays by parameter name; the same numbers for the same seed."""
    rng = np.random.Generator(np.random.PCG64(seed))
    state = {}
    for name, shape in _shapes(config):
        draw = rng.standard_normal(shape, dtype=np.float32)
        if ".ln_" in name or name.startswith("ln_final"):
            draw = draw * 0.1 + (1.0 if name.endswith("weight") else 0.0)
        elif name.endswith("bias"):
            draw = draw * 0.05
        elif name.endswith("positional_embedding"):
            draw = draw * 0.3
        elif name == "token_embedding.weight":
            draw = draw * 1.0
        elif name not in ("visual.class_embedding",):
            fan_in = shape[0] if name.endswith("proj") or name == "text_projection" else int(np.prod(shape[1:]))
            gain = {"visual.transformer": 0.5, "transformer": 3.0}.get(name.split(".resblocks")[0], 1.0)
            draw = draw * gain / np.sqrt(fan_in)
        state[name] = draw.astype(np.float32)
    state["logit_scale"] = np.float32(np.log(100.0))
    return state


def scene(seed, height, width, regions=8):
    """A picture of flat noisy regions: (H, W, 3) uint8 image, (H, W) int64 region index in [0, regions)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    points = rng.uniform(0, 1, (regions, 2)) * [height, width]
    rows, columns = np.mgrid[:height, :width]
    index = ((rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2).argmin(-1)
    colour = rng.uniform(30, 225, (regions, 3))
    grain = rng.uniform(6, 30, regions)
    image = colour[index] + rng.normal(0, 1, (height, width, 3)) * grain[index][..., None]
    return image.clip(0, 255).astype(np.uint8), index


def label_map(seed, index, num_labels, ignore_label):
    """A label for every region of a scene: (H, W) int64, with one region and a 5-pixel top band ignored."""
    rng = np.random.Generator(np.random.PCG64(seed))
    labels = rng.integers(0, num_labels, index.max() + 1)
    labels[rng.integers(0, index.max() + 1)] = ignore_label
    out = labels[index]
    out[:5] = ignore_label
    return out
