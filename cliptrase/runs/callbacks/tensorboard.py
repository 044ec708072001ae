"""Sheets of chosen pictures, for TensorBoard or any other logger that takes pictures.

Nothing here changes a figure. The sheets are also kept as files, from which the report takes them.
"""

from collections.abc import Sequence
from dataclasses import replace
from warnings import warn

from cliptrase.common.distributed import all_gather_rows
from cliptrase.common.errors import InputError
from cliptrase.drawing.canvas import png_bytes
from cliptrase.drawing.sheets import Example, sheet
from cliptrase.global_patches.analysis import denoised_map
from cliptrase.runs.callbacks.base import RunCallback, Step
from cliptrase.runs.callbacks.loggers import log_writers, told
from cliptrase.runs.callbacks.sheet_choice import Choice, Line, Sheet, chosen, keep
from cliptrase.runs.callbacks.sheets_again import sheets_left
from cliptrase.runs.module import TrainingFreeSegmentation


class TensorBoardMasks(RunCallback):
    """Draws a sheet for chosen pictures of each setting: see `figures.sheets.sheet`.

    Sheets go to the run's loggers under `<setting>/<stem>` and `<setting> worst/<stem>`, and to the run's folder under
    `sheets/`, as soon as their setting is through, with several processes when the run is. They are the same for any
    number of processes and any batch size.

    Args:
        pictures: how many of the first ones in the data set's order.
        names: stems of pictures wanted besides.
        worst: how many of those with the lowest mean IoU over their own classes (`test` only).
        patch: row and column of the patch whose correlation is shown, from 0; the middle one by default.

    Attributes:
        failed: why the last sheets are missing, where the file system took no more; no figure hangs on a sheet.

    Raises:
        InputError: a negative row or column.
    """

    everywhere = True

    def __init__(
        self,
        pictures: int = 4,
        names: list[str] | None = None,
        worst: int = 0,
        patch: tuple[int, int] | None = None,
    ) -> None:
        if min(patch or (0, 0)) < 0:
            raise InputError(
                f"patch {list(patch or ())} of the sheets has a negative number; rows and columns count from 0"
            )
        self.pictures = pictures
        self.names = set(names or [])
        self.worst = worst
        self.patch = patch
        self._start()

    def _start(self) -> None:
        self.failed = ""
        self._choice: Choice | None = None  # of the setting that is under way
        self._setting = ""  # its name
        self._drawn: list[Sheet] = []  # that are not shown yet
        self._found: set[str] = set()  # wanted names that this process had

    def begin(self, module: TrainingFreeSegmentation) -> None:
        """Starts anew for every run."""
        self._start()

    def scored(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Looks through a batch."""
        self._look(module, step)

    def predicted(self, module: TrainingFreeSegmentation, step: Step) -> None:
        """Looks through a batch."""
        self._look(module, step)

    def end_scoring(self, module: TrainingFreeSegmentation) -> None:
        """Shows the last setting's pictures, and names those that no setting has."""
        self._end(module)

    def end_predicting(self, module: TrainingFreeSegmentation) -> None:
        """Shows the last setting's pictures, and names those that no setting has."""
        self._end(module)

    def _look(self, module: TrainingFreeSegmentation, step: Step) -> None:
        if step.setting.name != self._setting:
            self._finish(module)
            self._setting = step.setting.name
        if self._setting in module.run.partial.counted:
            return  # of some of its images nothing is known but counts, which decide at the end
        if self._choice is None:
            self._choice = Choice(self.pictures, self.names, self.worst)
        for maps in step.maps:
            self._choice.look(maps)

    def _end(self, module: TrainingFreeSegmentation) -> None:
        run = module.run
        self._finish(module)
        self._show(module)
        missing = self.names - set(all_gather_rows(sorted(self._found)))
        if not module.trainer.is_global_zero:
            return
        if run.folder is not None and module.trainer.testing:
            asked = self.pictures, self.names, self.worst
            for setting, lines, example in sheets_left(module, run.folder / "sheets", *asked):
                self._keep(module, [self._draw(module, setting, example, lines)], lines)
            missing -= {stem for counts in run.finished.values() for stem in counts[run.main_method].stems}
        if missing:
            warn(f"no picture is named {', '.join(sorted(missing))}, so it has no sheet", stacklevel=2)

    def _finish(self, module: TrainingFreeSegmentation) -> None:
        """Draws what this process has of a setting: sheets take less memory than pictures, so they can wait."""
        choice, self._choice = self._choice, None
        if choice is None:  # a run without a picture
            return
        for stem, example in choice.examples.items():
            lines = [row for row in choice.lines if row.stem == stem]
            self._drawn.append(self._draw(module, self._setting, example, lines))
        self._found |= {row.stem for row in choice.lines if row.kind == "named"}
        if module.trainer.world_size == 1:  # several wait for the end: not all come to this place at once
            self._show(module)

    def _draw(self, module: TrainingFreeSegmentation, setting: str, example: Example, lines: Sequence[Line]) -> Sheet:
        # Computed again for these few, so that no correlation is kept and no picture waits for it.
        correlation = denoised_map(module.segmenter, example.image, self.patch)
        (names,) = (one.vocabulary.label_names for one in module.run.settings if one.name == setting)
        drawn = sheet(replace(example, patch_map=correlation), names)
        return Sheet(setting, lines, png_bytes(drawn.picture), drawn.panels, drawn.legend)

    def _show(self, module: TrainingFreeSegmentation) -> None:
        """The first process sends and keeps the sheets that are chosen among those of all; every one must call this."""
        drawn, self._drawn = all_gather_rows(self._drawn), []
        if not module.trainer.is_global_zero:
            return
        for setting in dict.fromkeys(own.setting for own in drawn):
            sheets = [own for own in drawn if own.setting == setting]
            lines = chosen([row for own in sheets for row in own.lines], self.pictures, self.worst)
            self._keep(module, sheets, lines)

    def _keep(self, module: TrainingFreeSegmentation, drawn: Sequence[Sheet], lines: Sequence[Line]) -> None:
        """Sends sheets of one setting to the loggers and to the run's folder."""
        if self.failed:
            return
        try:
            self._write(module, drawn, lines)
        except (OSError, InputError) as error:
            self.failed = str(error) if isinstance(error, InputError) else f"the logger: {error.strerror or error}"

    @staticmethod
    def _write(module: TrainingFreeSegmentation, drawn: Sequence[Sheet], lines: Sequence[Line]) -> None:
        writers, folder = log_writers(module.trainer), module.run.folder
        setting = drawn[0].setting
        by_stem = {own.lines[0].stem: own for own in drawn}
        sheets: dict[str, tuple[Line, Sheet]] = {}
        for row in lines:
            tag = f"{setting} worst/{row.stem}" if row.kind == "worst" else f"{setting}/{row.stem}"
            own = by_stem[row.stem]
            for writer in writers:
                with told(writer):
                    writer.picture(tag, own.encoded)
            sheets[f"{tag}.png"] = row, own
        if folder is not None and sheets:
            keep(folder / "sheets", setting, sheets, [one.name for one in module.run.settings])
