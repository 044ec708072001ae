"""The notebook runs as it stands, offline on the embedded model, and is kept with its pictures."""

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
NOTEBOOK = ROOT / "notebooks" / "global_patch.ipynb"
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


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]


def pictures(notebook: Any) -> list[Image.Image]:
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    encoded = [output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in encoded]


@pytest.fixture(scope="module")
def executed() -> Any:
    notebook = read()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTION))  # type: ignore[no-untyped-call]
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(ROOT)}}).execute()
    return notebook


def test_the_notebook_says_what_it_shows(executed: Any) -> None:
    printed = "".join(output.get("text", "") for output in executed.cells[-1].outputs)
    answer = json.loads(printed.partition("ANSWER")[2])
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
    assert len(pictures(executed)) == 4


def test_pictures_are_kept_in_the_notebook() -> None:
    kept = pictures(read())
    assert len(kept) == 4
    for picture in kept:
        picture.load()
        assert picture.width > 400
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 20
    assert NOTEBOOK.stat().st_size < 1_500_000


def test_the_notebook_tells_nothing_of_the_machine_that_ran_it() -> None:
    notebook = read()
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert not cell.metadata
        for output in cell.get("outputs", ()):
            assert output.get("name") != "stderr"
            words = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            assert not re.search(r"/\w+/\w+|\\|\b0x", words), words


def test_other_weights_are_one_cell_away() -> None:
    first = next(cell for cell in read().cells if cell.cell_type == "code")
    assert 'CLIP, PRETRAINED = "embedded", None' in first.source
    later = "".join(cell.source for cell in read().cells if cell.cell_type == "code" and cell is not first)
    assert later.count("load_clip(CLIP, PRETRAINED)") == 1
