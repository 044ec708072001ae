"""What a clicked patch attends to, as the page's HTML: numbers and pictures only, nothing that somebody typed."""

import numpy as np

from cliptrase.app.view import data_url
from cliptrase.common.errors import counted
from cliptrase.drawing.files import png
from cliptrase.drawing.overlay import heat
from cliptrase.global_patches.analysis import FACTOR, GlobalPatches
from cliptrase.global_patches.figure import correlation_panels

_WIDE = 360  # pixels of a map's longer side
_CAPTIONS = (
    "What it attends to",
    "What goes with it, before the global patches are taken off",
    "What goes with it, after the global patches are taken off",
)


def patch_html(result: GlobalPatches, patch: tuple[int, int]) -> str:
    """Three maps of one patch beside each other: attention, and correlation before and after; see `analysis`.

    Args:
        result: with every patch chosen, row by row.
        patch: (row, column).
    """
    rows, columns = result.grid
    row, column = min(max(patch[0], 0), rows - 1), min(max(patch[1], 0), columns - 1)
    scale = max(1, round(_WIDE / max(rows, columns)))
    panels = correlation_panels(result, row * columns + column, (columns * scale, rows * scale))
    dots = int(result.is_global[-2].sum())
    stops = ", ".join("#{:02x}{:02x}{:02x}".format(*colour) for colour in heat(np.linspace(0, 1, 6)).tolist())
    shown = "".join(
        f"<figure><figcaption><strong>{caption}</strong> ({panel.title}){f': {panel.means}' if panel.means else ''}"
        f'</figcaption><img alt="{caption}" src="{data_url(png(np.array(panel.shown)), "png")}">'
        f'<div class="ct-scale">{panel.ends[0]}<i style="background: linear-gradient(90deg, {stops})"></i>'
        f"{panel.ends[1]}</div></figure>"
        for caption, panel in zip(_CAPTIONS, panels, strict=True)
    )
    return (
        f"<p><strong>Patch {row},{column}</strong> of {rows} x {columns}, framed, in the block before the last. "
        f"Dots mark the {counted(dots, 'global patch', 'global patches')}, to which the others attend more than "
        f"{FACTOR:g} times as much as to the average one, whatever they show.</p>"
        f'<div class="ct-patch">{shown}</div>'
    )
