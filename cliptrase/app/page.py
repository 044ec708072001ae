"""The page itself, by Gradio: components, and what calls what. What is shown is made by its neighbours."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from cliptrase.app.callbacks import NONE, NUMBER, Callbacks, about, forget, said
from cliptrase.app.script import ModelChoice
from cliptrase.app.studio import Answer, Studio
from cliptrase.app.worker import Worker
from cliptrase.drawing.overlay import Picture
from cliptrase.vocabulary import AUTO

STRENGTH = 0.8
_HERE = Path(__file__).parent
CSS = (_HERE / "page.css").read_text(encoding="utf-8")
_VIEW = """<div class="ct-body"><div class="ct-panels"></div><div class="ct-legend"></div></div>
<p class="ct-read" role="status"
data-empty="Point at the picture for a name and its share; click a patch for what it attends to."></p>"""
_STRENGTH_JS = """(strength) => {
    document.documentElement.style.setProperty("--ct-strength", strength);
    document.documentElement.style.setProperty("--ct-grey", strength > 0 ? 1 : 0);
}"""


@dataclass(frozen=True)
class Example:
    """A picture with words for it.

    Attributes:
        name: of its file.
        picture: (H, W, 3) uint8.
        words: see `parse_words`.
        background: likewise.
    """

    name: str
    picture: Picture
    words: str
    background: str


def build(
    studio: Studio,
    model: ModelChoice,
    examples: Sequence[Example],
    folder: Path,
    worker: Worker,
    knows: Sequence[str] = (),
) -> gr.Blocks:
    """The page.

    Args:
        studio: who answers.
        model: how it was named.
        examples: pictures with words.
        folder: for files, which the page writes and gives away.
        worker: whose thread computes.
        knows: all that the model knows, where that is little.
    """
    calls = Callbacks(studio, model, folder)

    def segment(*given: Any) -> tuple[Any, ...]:
        return worker.run(lambda: calls.segment(*given))

    def overlays(*given: Any) -> tuple[Any, ...]:
        return worker.run(lambda: calls.overlays(*given))

    def attention(state: tuple[Answer, Path] | None, event: gr.SelectData) -> str:
        return worker.run(lambda: calls.patch(state, event))

    usual = "cliptrase" if "cliptrase" in studio.methods else studio.methods[0]
    page: gr.Blocks = gr.Blocks(title="cliptrase", analytics_enabled=False, delete_cache=(3600, 86400))
    with page:
        state = gr.State(None, time_to_live=3600, delete_callback=forget)
        gr.HTML(about(studio, model, knows))
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                picture = gr.Image(label="Picture", height=260, buttons=["fullscreen"], elem_id="ct-picture")
                words = gr.Textbox(
                    label="Words",
                    info="Write ; between classes and , between synonyms.",
                    placeholder="cat, kitten; dog",
                    lines=2,
                    max_lines=8,
                    elem_id="ct-words",
                )
                background = gr.Textbox(
                    label="Background words",
                    info="What else the picture shows; may stay empty.",
                    placeholder="wall, floor",
                    elem_id="ct-background",
                )
                with gr.Row():
                    first = _method(studio.methods, "Method", usual, "ct-first")
                    second = _method([NONE, *studio.methods], "Beside it", NONE, "ct-second")
                threshold = gr.Radio(
                    [("off", "none"), ("auto", AUTO), ("by probability", NUMBER)],
                    value="none",
                    label="None of these",
                    info="Whether pixels without a likely word get none.",
                    elem_id="ct-threshold",
                )
                least = gr.Slider(0, 1, 0.3, step=0.05, label="Least probability", visible=False)
                button = gr.Button("Segment", variant="primary", elem_id="ct-segment")
                told = gr.HTML(said("Give a picture and words, or choose an example."), elem_id="ct-said")
                if examples:
                    paths = _drawn(examples, folder)
                    gallery = gr.Gallery(
                        [(str(path), example.words) for path, example in zip(paths, examples, strict=True)],
                        label="Example scenes",
                        columns=len(examples),
                        allow_preview=False,
                        interactive=False,
                        buttons=[],
                        elem_id="ct-examples",
                    )
            with gr.Column(scale=3, min_width=300):
                view = gr.HTML(
                    None,
                    html_template=_VIEW,
                    js_on_load=(_HERE / "view.js").read_text(encoding="utf-8"),
                    apply_default_css=False,
                    elem_id="ct-view",
                )
                patch = gr.HTML(elem_id="ct-patch")
                strength = gr.Slider(0, 1, STRENGTH, step=0.05, label="Strength of the colours", elem_id="ct-strength")
                with gr.Row():
                    mask = _download("ct-mask")
                    second_mask = _download("ct-second-mask")
                    overlay = _download("ct-overlay")
                    second_overlay = _download("ct-second-overlay")
                    legend = _download("ct-legend", "Legend")
                with gr.Accordion("The same in Python", open=False, elem_id="ct-python"):
                    lines = gr.Code(
                        language="python", interactive=False, show_label=False, wrap_lines=True, elem_id="ct-lines"
                    )

        by_model: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "model", "api_visibility": "private"}
        # Gradio would decode the picture: it is left to the package's own reader, which says what is wrong with it.
        raw = {"preprocess": False, **by_model}
        asked: list[Any] = [picture, words, background, first, second, threshold, least, strength, state]
        answered: list[Any] = [told, view, mask, second_mask, overlay, second_overlay, legend, lines, patch, state]
        for event in (button.click, words.submit, background.submit):
            event(segment, asked, answered, trigger_mode="once", **raw)
        view.select(attention, [state], [patch], trigger_mode="always_last", **by_model)
        threshold.change(
            lambda chosen: gr.update(visible=chosen == NUMBER),
            [threshold],
            [least],
            show_progress="hidden",
            api_visibility="private",
        )
        strength.input(None, [strength], None, js=_STRENGTH_JS)
        strength.release(
            overlays,
            [state, strength],
            [overlay, second_overlay],
            show_progress="hidden",
            api_visibility="private",
        )
        if examples:

            def choose(event: gr.SelectData) -> tuple[str, str, str]:
                example = examples[event.index]
                return str(paths[event.index]), example.words, example.background

            chosen = gallery.select(
                choose, None, [picture, words, background], show_progress="hidden", api_visibility="private"
            )
            chosen.then(segment, asked, answered, **raw)
    page.queue(max_size=16)
    return page


def _method(names: Sequence[str], label: str, value: str, element: str) -> gr.Dropdown:
    """A choice of methods, or one typed, with switches."""
    return gr.Dropdown(list(names), value=value, label=label, allow_custom_value=True, min_width=130, elem_id=element)


def _download(element: str, label: str = "") -> gr.DownloadButton:
    """A button that is not seen while there is nothing to be taken away."""
    return gr.DownloadButton(label, visible=False, size="sm", min_width=120, elem_id=element)


def _drawn(examples: Sequence[Example], folder: Path) -> list[Path]:
    """Paths of the examples' pictures, which are written there."""
    paths = [folder / example.name for example in examples]
    for path, example in zip(paths, examples, strict=True):
        Image.fromarray(example.picture).save(path)
    return paths
