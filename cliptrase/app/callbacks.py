"""What the page's events call: state in, updates of its parts out. Every complaint becomes a sentence on the page."""

import html
import shutil
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import gradio as gr

from cliptrase.app.downloads import write_legend, write_masks, write_overlays
from cliptrase.app.patches import patch_html
from cliptrase.app.script import ModelChoice, python_lines
from cliptrase.app.studio import Answer, Studio
from cliptrase.app.view import view_of
from cliptrase.common.errors import InputError, one_line

NONE = "none"  # no second method
NUMBER = "number"  # a threshold that is a probability


def about(studio: Studio, model: ModelChoice, knows: Sequence[str]) -> str:
    """What the head of the page says of who answers, as HTML.

    Args:
        studio: who.
        model: how it was named.
        knows: all that the model knows, where that is little.
    """
    weights = f", weights {model.pretrained}" if model.pretrained else ""
    text = f"Answers come from the model “{model.clip}”{weights}, under the protocol “{studio.protocol.label}”."
    if knows:
        text += (
            f" This small model knows sixteen materials only, as drawn scenes show them: {', '.join(knows)}. "
            "For your own pictures start the page with --model.clip ViT-B-16."
        )
    return f'<div class="ct-head"><h1>Segment a picture by words</h1><p>{html.escape(text)}</p></div>'


def said(sentence: str, wrong: bool = False) -> str:
    """The line under the button, as HTML."""
    kind = ' class="ct-wrong" role="alert"' if wrong else ' role="status"'
    return f"<p{kind}>{html.escape(sentence)}</p>"


def summary(answer: Answer) -> str:
    """What was done, in a sentence."""
    height, width = answer.shown.pixels.shape[:2]
    return (
        f"{answer.shown.name}, {width} x {height} pixels, by {' and '.join(answer.maps)}: {answer.seconds:.1f} seconds."
    )


class Callbacks:
    """What the page's events call. Every complaint becomes a sentence on the page.

    Args:
        studio: who answers.
        model: how it was named.
        folder: for files to be taken away.
    """

    def __init__(self, studio: Studio, model: ModelChoice, folder: Path) -> None:
        self.studio, self.model, self.folder = studio, model, folder

    def segment(
        self,
        picture: Mapping[str, Any] | None,
        words: str | None,
        background: str | None,
        first: str | None,
        second: str | None,
        threshold: str | None,
        least: float,
        strength: float,
        before: tuple[Answer, Path] | None = None,
    ) -> tuple[Any, ...]:
        """An answer: what is said, the view, files, lines, the patch's place, the state.

        Args:
            picture: as the page holds it, with the `path` of the file as it was uploaded and its `orig_name`.
            words: as typed.
            background: likewise.
            first: a method's name.
            second: likewise, or `none`.
            threshold: `none`, `auto`, or `number` for `least`.
            least: probability that a pixel's label must have.
            strength: of overlays, in [0, 1].
            before: the state of the answer before, whose files go.
        """
        methods = [first or ""] + ([second] if second and second != NONE else [])
        try:
            shown = self.studio.read(*((picture.get("path"), picture.get("orig_name")) if picture else (None, None)))
            chosen = least if threshold == NUMBER else threshold
            answer = self.studio.segment(shown, words or "", background or "", methods, chosen)
            files = Path(mkdtemp(dir=self.folder))
            view = view_of(answer, self.studio.cell(shown))
            masks, overlays = write_masks(files, answer), write_overlays(files, answer, strength)
            legend = write_legend(files, answer)
        except Exception as error:
            return (said(sentence_of(error), wrong=True), *[gr.skip()] * 9)
        forget(before)
        lines = python_lines(
            self.model,
            self.studio.protocol,
            list(answer.maps),
            shown.name,
            answer.words,
            answer.background,
            answer.threshold,
        )
        return (
            said(summary(answer)),
            view,
            *_buttons(masks, "Mask", answer),
            *_buttons(overlays, "Overlay", answer),
            gr.update(value=str(legend), visible=True),
            lines,
            "",
            (answer, files),
        )

    def overlays(self, state: tuple[Answer, Path] | None, strength: float) -> tuple[Any, ...]:
        """The overlays' files at another strength; nothing else is made again."""
        if state is None:
            return gr.skip(), gr.skip()
        answer, files = state
        try:
            return tuple(_buttons(write_overlays(files, answer, strength), "Overlay", answer))
        except Exception as error:
            raise gr.Error(sentence_of(error), print_exception=False) from None

    def patch(self, state: tuple[Answer, Path] | None, event: gr.SelectData) -> str:
        """What a patch attends to."""
        if state is None:
            return ""
        try:
            row, column = event.index
            return patch_html(self.studio.patches(state[0].shown), (int(row), int(column)))
        except Exception as error:
            return said(sentence_of(error), wrong=True)


def forget(state: tuple[Answer, Path] | None) -> None:
    """Takes an answer's files away."""
    if state is not None:
        shutil.rmtree(state[1], ignore_errors=True)


def sentence_of(error: Exception) -> str:
    """One sentence for what went wrong; what nobody foresaw is printed in the terminal besides."""
    if isinstance(error, InputError):
        sentence = str(error).replace("`", "")
        begins_with_a_word = sentence.partition(" ")[0].isalpha()  # not with the name of a file
        return f"{sentence[:1].upper() if begins_with_a_word else sentence[:1]}{sentence[1:]}."
    if "memory" in str(error).lower() or isinstance(error, MemoryError):
        return "There is not enough memory for this picture; take a smaller one."
    traceback.print_exception(error, file=sys.stderr)
    return f"This did not work ({type(error).__name__}: {one_line(error)}); the terminal says more."


def _buttons(files: Sequence[Path], what: str, answer: Answer) -> list[Any]:
    """Two buttons' state: a second method's is hidden where there is none."""
    shown = [
        gr.update(value=str(file), visible=True, label=f"{what} of {name}" if len(files) > 1 else what)
        for file, name in zip(files, answer.maps, strict=True)
    ]
    return [*shown, gr.update(visible=False)][:2]
