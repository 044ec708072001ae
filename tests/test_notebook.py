"""The notebooks run as they stand, offline on the embedded model, and are kept with their pictures."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
# Asked of the kernel after all cells have run.
QUESTION = """
import json
print("ANSWER" + json.dumps({
    "grid": list(result.grid),
    "shapes": {name: list(getattr(result, name).shape) for name in ("received", "class_attention", "is_global")},
    "rows": {name: getattr(result, name)[0].tolist() for name in ("attention", "correlation", "denoised")},
    "shares": [*result.class_share.tolist(), *result.patch_share.tolist(), *result.chance_share.tolist()],
    "patch": list(PATCH),
    "image": list(image.shape),
}))
"""


QUESTION_OF_FEATURES = """
import json
own = segmenter.features(picture, "naclip")
print("ANSWER" + json.dumps({
    "patch": [row, column],
    "box": own.boxes[row, column].tolist(),
    "cosines": own.similarity(row, column).tolist(),
    "colours": [list(colours(own).size), len(set(map(tuple, np.array(colours(own)).reshape(-1, 3).tolist())))],
    "layers": [list(tokens.values.shape) for tokens in layers.values()],
    "words": [list(cosines.shape), float(cosines.abs().max())],
    "table": table,
    "names": list(drawn.names),
}))
"""


def read(name: str) -> Any:
    return nbformat.read(NOTEBOOKS[name], as_version=4)  # type: ignore[no-untyped-call]


def pictures(notebook: Any) -> list[Image.Image]:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    encoded = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in encoded]


def executed(name: str, question: str) -> tuple[Any, Any]:
    """A notebook after all its cells have run, and what it answers then."""
    notebook = read(name)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    notebook.cells.append(nbformat.v4.new_code_cell(question))  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(ROOT)}}).execute()
    printed = "".join(output.text for output in notebook.cells[-1].outputs if output.get("name") == "stdout")
    return notebook, json.loads(printed.partition("ANSWER")[2])


def test_global_patches_are_what_is_shown() -> None:
    notebook, answer = executed("global_patch", QUESTION)
    patches = 14 * 14
    assert answer["grid"] == [14, 14]
    assert answer["image"] == [224, 224, 3]
    assert answer["shapes"] == {name: [6, patches] for name in ("received", "class_attention", "is_global")}
    assert all(0 <= share <= 1 for share in answer["shares"])
    assert max(answer["shares"]) > 0.1
    own = answer["patch"][0] * 14 + answer["patch"][1]
    for row in answer["rows"].values():
        assert len(row) == patches
        assert all(-1.001 <= value <= 2 for value in row)  # NaN is not
    correlation = answer["rows"]["correlation"]
    assert correlation[own] == max(correlation) == pytest.approx(1, abs=1e-5)
    assert sum(answer["rows"]["attention"]) <= 1.001
    assert len(pictures(notebook)) == 4


def test_features_are_what_is_shown() -> None:
    notebook, answer = executed("features", QUESTION_OF_FEATURES)
    (x, y), (row, column) = (250, 120), answer["patch"]
    left, top, right, bottom = answer["box"]
    assert left <= x < right
    assert top <= y < bottom
    cosines = answer["cosines"]
    assert [len(cosines), *{len(line) for line in cosines}] == [14, 14]
    assert cosines[row][column] == max(map(max, cosines)) == pytest.approx(1, abs=1e-5)
    assert answer["colours"][0] == [14, 14]
    assert answer["colours"][1] > 50
    assert answer["layers"] == [[14, 14, 192]] * 4
    assert answer["words"][0] == [14, 14, 4]
    assert answer["words"][1] <= 1.00001
    assert len(answer["table"]) == 4 + 4
    for shares in answer["table"].values():
        assert len(shares) == len(answer["names"]) == 4
        assert all(0.5 < share <= 1 for share in shares.values())
    assert len(pictures(notebook)) == 4


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_pictures_are_kept_in_the_notebook(name: str) -> None:
    kept = pictures(read(name))
    assert len(kept) == 4
    for picture in kept:
        picture.load()
        assert picture.width > 400
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 20
    assert NOTEBOOKS[name].stat().st_size < 1_500_000


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebook_tells_nothing_of_the_machine_that_ran_it(name: str) -> None:
    notebook = read(name)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert not cell.metadata
        for output in cell.get("outputs", ()):
            assert output.get("name") != "stderr"
            words = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not re.search(r"/\w+/\w+|\\|\b0x", words), words


@pytest.mark.parametrize(
    ("name", "call"),
    [("global_patch", "load_clip(CLIP, PRETRAINED)"), ("features", "from_pretrained(CLIP, PRETRAINED,")],
)
def test_other_weights_are_one_cell_away(name: str, call: str) -> None:
    cells = [cell.source for cell in read(name).cells if cell.cell_type == "code"]
    assert 'CLIP, PRETRAINED = "embedded", None' in cells[0]
    assert "".join(cells[1:]).count(call) == 1
