"""Label maps in colours: tables in every form that people hold, colours that are unknown, maps of every mode."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from datamodules import DataError, Folder, Geometry, colour_table
from datamodules.checks import check_pairs
from datamodules.class_lists import read_class_list, read_colour_table
from datamodules.colour_table import ColourTable, say_colours
from datamodules.colours import Colour, colours_of
from datamodules.doctor.command import main as doctor
from datamodules.draw import write_folder
from datamodules.reading import read_label_map
from datamodules.spec_file import read_spec

RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 160, 0), (0, 0, 255), (0, 0, 0)
ROWS = {"cat": (RED, BLUE), "dog": (GREEN,), "ignore": (BLACK,)}
FORMS = {
    "label_colors.txt": "255 0 0\tcat\n0 0 255\t\tcat\n0 160 0\tdog\n0 0 0\tignore\n",
    "labelmap.txt": "# label:color_rgb:parts:actions\ncat:255,0,0::\ncat:0,0,255::\ndog:0,160,0:a:\nignore:0,0,0::\n",
    "class_dict.csv": "name,r,g,b\ncat,255,0,0\ncat,0,0,255\ndog,0,160,0\nignore,0,0,0\n",
    "blue_first.csv": "b;g;r;class\n0;0;255;cat\n255;0;0;cat\n0;160;0;dog\n0;0;0;ignore\n",
    "ids.csv": 'id,name,trainId,color\n24,cat,3,"255,0,0"\n24,cat,3,#0000ff\n1,dog,255,#00a000\n0,ignore,255,#000000\n',
    "hex.txt": "cat #ff0000\ncat #0000FF\ndog #00a000\nignore 0x000000\n",
    "no_header.csv": "cat,255,0,0\ncat,0,0,255\ndog,0,160,0\nignore,0,0,0\n",
    "colons.txt": "cat: 255 0 0\ncat: 0 0 255\ndog: 0 160 0\nignore: 0 0 0\n",
    "spaces.txt": "cat , 255, 0, 0\ncat = 0 0 255\ndog = 0 160 0\nignore , 0, 0, 0\n",
    "names.yaml": "cat: [[255, 0, 0], '#0000ff']\ndog: 0 160 0\nignore: '#000000'\n",
    "names.json": json.dumps({"cat": [RED, "#0000ff"], "dog": GREEN, "ignore": BLACK}),
    "entries.json": json.dumps([{"id": 7, "name": "cat", "color": [RED, BLUE]}, {"name": "dog", "color": GREEN}])[:-1]
    + ', {"name": "ignore", "color": [0, 0, 0]}]',
}


def write(root: Path, maps: NDArray[Any] | None = None) -> Path:
    """One picture of 4 x 6 and its label map in colours, the six of `ROWS` in turn."""
    for name in ("image", "gt"):
        (root / name).mkdir(exist_ok=True)
    colours = np.array([RED, BLUE, GREEN, BLACK, RED, GREEN], np.uint8)[None].repeat(4, 0) if maps is None else maps
    Image.new("RGB", (6, 4)).save(root / "image" / "a.png")
    Image.fromarray(colours).save(root / "gt" / "a.png")
    return root / "gt" / "a.png"


def labels_of(root: Path, **options: Any) -> list[int]:
    """Labels of the first row of the one label map."""
    folder = Folder(root=root, num_workers=0, geometry=Geometry("whole_image", 8), **options)
    folder.setup("test")
    labels = folder.datasets[0][0].labels
    assert labels is not None
    return labels[0].tolist()


@pytest.mark.parametrize("name", FORMS)
def test_a_table_is_read_in_every_form(name: str, tmp_path: Path) -> None:
    """Without a list of classes the table's names are the classes; the table decides the digest, its form does not."""
    path = tmp_path / name
    path.write_text(FORMS[name])
    listed = read_colour_table(path, "`colors`")
    found: dict[str, tuple[Colour, ...]] = {}
    for row, colours in zip(listed.names, listed.colours or (), strict=True):
        found[row] = (*found.get(row, ()), *colours)
    assert found == ROWS
    folder = Folder(colors=path, root=tmp_path)
    assert folder.spec.vocabulary.classes == (("cat",), ("dog",))
    assert folder.spec.reading_digest == Folder(colors=ROWS, root=tmp_path).spec.reading_digest
    assert folder.spec.reading_digest != Folder(colors={**ROWS, "cat": [RED]}, root=tmp_path).spec.reading_digest


def test_labels_are_those_of_the_names(tmp_path: Path) -> None:
    """Whatever the order of the table: the list of classes has the order, synonyms and the background count."""
    write(tmp_path)
    assert labels_of(tmp_path, colors=ROWS) == [0, 0, 1, -1, 0, 1]
    assert labels_of(tmp_path, colors=ROWS, classes=["dog", "cat"]) == [1, 1, 0, -1, 1, 0]
    animals: Any = [["animal", "Dog"], "bird", "cat"]
    with pytest.warns(UserWarning, match="`colors` has no colour of 'bird', so that no label map can hold it"):
        assert labels_of(tmp_path, colors=ROWS, classes=animals) == [2, 2, 0, -1, 2, 0]
    assert labels_of(tmp_path, colors=ROWS, ignore="dog") == [0, 0, -1, -1, 0, -1]
    named = {"Background": BLACK, "cat": [RED, BLUE], "dog": GREEN}
    assert labels_of(tmp_path, colors=named, background_index=0) == [1, 1, 2, 0, 1, 2]
    assert labels_of(tmp_path, colors=named, classes=["cat", "dog"], background="wall, sky") == [0, 0, 1, 2, 0, 1]
    assert labels_of(tmp_path, colors=named, classes=["cat", "dog"], background_index=1) == [0, 0, 2, 1, 0, 2]
    assert labels_of(tmp_path, colors={"cat, tom": [RED, BLUE], "dog": [GREEN, BLACK]}, synonyms=True)[:3] == [0, 0, 1]
    with pytest.warns(UserWarning, match="--data.ignore 'Void' leaves its pixels out"):
        assert labels_of(tmp_path, colors={"cat": [RED, BLUE], "dog": GREEN, "Void": BLACK})[3] == 2


def test_inline_in_yaml(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "pets.yaml"
    path.write_text("name: Pets\nimages: image\nlabels: gt\ncolors:\n  cat: ['#ff0000', [0, 0, 255]]\n  on: 0 160 0\n")
    path.write_text(f"{path.read_text()}  Void: [0, 0, 0]\nignore: Void\n")
    spec = read_spec(path)
    assert spec.vocabulary.classes == (("cat",), ("on",))
    assert read_label_map(tmp_path / "gt" / "a.png", spec)[0].tolist() == [0, 0, 1, 255, 0, 1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("colors: {}\n", "colors names no colour"),
        ("colors: nowhere.txt\n", "nowhere.txt' is not a text file that can be read"),
        ("colors: {cat: [1, 2]}\n", "line 4: 'cat': '1' is no colour; write [255, 128, 0] or '#ff8000'"),
        ("colors: {cat: [1, 2, 300]}\n", "line 4: 'cat': [1, 2, 300] is no colour, for its numbers are not in 0..255"),
        ("colors: {cat: [0.1, 0.2, 0.3]}\n", "'0.1' is no colour"),
        ("colors: {cat: red}\n", "'red' is no colour"),
        ("colors:\n  cat: #ff0000\n", "line 5: 'cat' has no colour; write [255, 128, 0] or '#ff8000', in quotation"),
        ("colors: {cat: []}\n", "no colour is given"),
        ("colors: {cat: '#ff0000', dog: [255, 0, 0]}\n", "'dog' has the colour 255,0,0 (#ff0000), which 'cat' has"),
        ("colors: {cat: '#ff0000', ignore: [255, 0, 0]}\n", "a colour can stand for one class only"),
        ("colors: {ignore: '#ff0000'}\n", "colors names no class that is scored"),
        ("colors: {cat: '#ff0000'}\nclasses: [dog]\n", "line 4: 'cat' is no class of classes; name what is not scored"),
        ("colors: {cats: '#ff0000'}\nclasses: [cat]\n", "'cats' is no class of classes; did you mean cat?"),
        ("colors: {a: '#ff0000', b: '#00ff00'}\nclasses: [dog]\n", "a, b are no classes of classes; name what is not"),
        (
            "colors: {cat: '#ff0000'}\nignore: [catt]\n",
            "ignore names 'catt', which has no colour in colors; did you mean",
        ),
        ("colors: {cat: '#ff0000'}\nclasses: [cat]\nignore: cat\n", "ignore names 'cat', which is a class of classes"),
        ("classes: [cat]\nignore: [cat]\n", "ignore names colours of colors; of index maps give the value by ignore_l"),
        ("colors: {cat: '#ff0000'}\nlabel_offset: 1\n", "label_offset is of index maps, and colors of maps in colours"),
        ("colors: {cat: '#ff0000'}\nignore_label: 0\n", "ignore_label is of index maps, and colors of maps in colours"),
    ],
)
def test_tables_that_cannot_be(text: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    path = tmp_path / "pets.yaml"
    path.write_text(f"name: Pets\nimages: image\nlabels: gt\n{text}")
    assert doctor(["--spec", str(path), "--workers", "1"]) == 1
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1
    assert str(tmp_path) in printed


@pytest.mark.parametrize(
    ("name", "text", "line", "sentence"),
    [
        ("colors.txt", "255 0 0 cat\ndog\n", 2, "'dog' is no name with a colour"),
        ("colors.txt", "255 0 0 cat\n0 160 dog\n", 2, "'0 160 dog' is no name with a colour"),
        ("colors.txt", "255 0 0 cat\n0 160 256 dog\n", 2, "[0, 160, 256] is no colour"),
        ("colors.txt", "cat\ndog\n", 1, "'cat' is no name with a colour"),
        ("colors.txt", "0 cat 255 0 0\n1 dog 0 160 0\n", 1, "numbers, names and colours stand here"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\ncat:255,0::\n", 2, "is not of CVAT's form"),
        ("table.csv", "id,name\n0,cat\n", 1, "no column of 'id,name' holds colours"),
        ("table.csv", "name\ncat\n", 2, "'cat' has no colour"),
        ("table.csv", "name,r,g,b\ncat,255,0\n", 2, "3 columns stand here, 4 in the header"),
        ("table.csv", "name,r,g,b\ncat,255,0,x\n", 2, "[255, 0, x] is no colour"),
        ("table.json", '["cat", "dog"]', 1, "here stands no name with a colour"),
        ("table.json", '[{"name": "cat"}]', 1, "'cat' has no 'color'"),
        ("table.yaml", "- name: cat\n  color: 1\n", 2, "'cat': '1' is no colour"),
    ],
)
def test_a_line_that_fits_no_form_is_named(name: str, text: str, line: int, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=rf"`colors` '.*{name}', line {line}: .*{re.escape(sentence)}.*; \w+"):
        Folder(colors=tmp_path / name)


def test_mappings_of_python_are_checked_too() -> None:
    for colors, sentence in (
        ({1: [1, 2, 3]}, "`colors`, item 1: 1 is no name"),
        ({"cat": 7}, "item 1: 'cat': 7 is no colour"),
        ({"cat": RED, "dog": None}, "item 2: 'dog': None is no colour"),
        ({"cat": (True, False, True)}, "is no colour"),
    ):
        with pytest.raises(DataError, match=re.escape(sentence)):
            Folder(colors=colors)  # type: ignore[arg-type]
    assert colours_of(((1, 2, 3), "4,5,6", "(7 8 9)")) == ((1, 2, 3), (4, 5, 6), (7, 8, 9))


def test_class_lists_with_colours_stay_lists_of_index_maps(tmp_path: Path) -> None:
    """The colours of a list alone do not make maps colour maps."""
    (tmp_path / "labelmap.txt").write_text("# label:color_rgb:parts:actions\ncat:255,0,0::\ndog:0,160,0::\n")
    assert read_class_list(tmp_path / "labelmap.txt", "`classes`").colours is None
    write(tmp_path)
    with pytest.raises(DataError, match=r"a\.png holds RGB colours .*, or say by `colors` which class each colour is$"):
        labels_of(tmp_path, classes=tmp_path / "labelmap.txt")
    write(tmp_path, np.array([[0, 1, 255, 0, 1, 1]] * 4, np.uint8))
    assert labels_of(tmp_path, classes=tmp_path / "labelmap.txt") == [0, 1, -1, 0, 1, 1]


def test_scenes_are_drawn_in_colours_too(tmp_path: Path) -> None:
    write_folder(tmp_path, 2, progress=False, colours=True)
    one, other = (
        Folder(root=tmp_path, num_workers=0, **options)
        for options in (
            {"classes": tmp_path / "classes.txt"},
            {"labels": tmp_path / "gt_colors", "colors": tmp_path / "colors.txt"},
        )
    )
    assert one.spec.vocabulary == other.spec.vocabulary
    for index, colours in zip(*(folder.pairs(folder.spec, with_labels=True) for folder in (one, other)), strict=True):
        assert index.labels is not None
        assert colours.labels is not None
        wanted = read_label_map(index.labels, one.spec)
        np.testing.assert_array_equal(read_label_map(colours.labels, other.spec), wanted)


UNKNOWN = [
    (
        [(9, 8, 7)],
        "1 colour that `colors` does not name: 9,8,7 (#090807) in 1 pixel; add it to `colors`, each",
    ),
    ([(9, 8, 7), (9, 8, 7), (1, 2, 3)], "2 colours that `colors` does not name: 9,8,7 (#090807) in 2 pixels, 1,2,3"),
    ([(1, 1, 1), (2, 2, 2)], "leave `colors` out if these are index maps, whose numbers are the classes"),
    ([(n, 9, 7) for n in range(60)], "and 55 others in 55 pixels; so many come of resizing or compression"),
]


@pytest.mark.parametrize(("strange", "sentence"), UNKNOWN)
def test_a_colour_that_the_table_does_not_name_is_refused(
    strange: list[Colour], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the run and by the doctor, with the file, the colour and its pixels."""
    colours = np.full((10, 12, 3), RED, np.uint8)
    colours.reshape(-1, 3)[5 : 5 + len(strange)] = strange
    path = write(tmp_path, colours)
    Image.new("RGB", (12, 10)).save(tmp_path / "image" / "a.png")
    folder = Folder(colors=ROWS, root=tmp_path)
    with pytest.raises(DataError) as caught:
        check_pairs(folder.pairs(folder.spec, with_labels=True), folder.spec, progress=False)
    assert str(caught.value).startswith(f"{path} holds {sentence}"[:40])
    assert sentence in str(caught.value)
    (tmp_path / "pets.yaml").write_text(f"images: image\nlabels: gt\ncolors: {json.dumps(ROWS)}\n")
    assert doctor(["--spec", str(tmp_path / "pets.yaml"), "--json", "--workers", "1"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["settings"]["Folder"]["findings"]
    assert (found["level"], found["kind"], found["files"]) == ("error", "colour", [str(path)])
    assert found["message"].startswith("1 label maps hold colours that `colors` does not name, ")
    assert say_colours({colour: strange.count(colour) for colour in strange}, 50) in found["message"]


def test_the_doctor_names_all_colours_that_are_few_enough() -> None:
    """All up to the number given, which the doctor's table of forgotten classes needs; of more the first five."""
    pixels = {(1, 2, green): 100 - green for green in range(7)}
    assert say_colours(pixels, 7).count("(#") == 7
    assert say_colours(pixels, 6) == say_colours(pixels)
    assert say_colours(pixels).endswith("1,2,4 (#010204) in 96 pixels and 2 others in 189 pixels")


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([1, 7, 1 << 20]))
def test_decoding_equals_a_search_for_each_pixel(seed: int, count: int, band: int) -> None:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (count, 3))
    meanings: dict[Colour, int] = {
        (red, green, blue): int(value)
        for (red, green, blue), value in zip(
            palette.tolist(), rng.choice([0, 3, 254, 255, 300, 65535], count), strict=True
        )
    }
    strange = rng.integers(0, 256, (3, 3))
    colours = np.concatenate([palette, strange])[rng.integers(0, count + 3, (5, 9))].astype(np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(colour_table, "_BAND", band)
        decoded = ColourTable.of(meanings).decode(colours)
    unknown: dict[Colour, int] = {}
    for place in np.ndindex(5, 9):
        red, green, blue = colours[place].tolist()
        if (red, green, blue) in meanings:
            assert decoded.values[place] == meanings[red, green, blue]
        else:
            unknown[red, green, blue] = unknown.get((red, green, blue), 0) + 1
    assert decoded.unknown == unknown


def test_maps_of_every_mode(tmp_path: Path) -> None:
    """A palette's colours carry the meaning; what is see-through, of 16 bits or compressed is no colour map."""
    path = write(tmp_path)
    spec = Folder(colors={**ROWS, "dog": [GREEN, (255, 255, 255)]}, root=tmp_path).spec
    wanted = read_label_map(path, spec)
    with Image.open(path) as file:
        colours = file.copy()
    white = np.array(colours)
    for mode in ("P", "RGBA"):
        colours.convert(mode, palette=Image.Palette.ADAPTIVE, colors=8).save(path)
        np.testing.assert_array_equal(read_label_map(path, spec), wanted)
    colours.save(tmp_path / "map.tif")
    np.testing.assert_array_equal(read_label_map(tmp_path / "map.tif", spec), wanted)
    black_and_white = np.where((white == BLACK).all(-1), 0, 255).astype(np.uint8)
    for mode in ("1", "L", "LA", "P"):
        Image.fromarray(black_and_white).convert(mode).save(path)
        assert read_label_map(path, spec)[0].tolist() == [1, 1, 1, 255, 1, 1]
    half = colours.convert("RGBA")
    half.putalpha(128)
    half.save(path)
    with pytest.raises(DataError, match="holds RGBA values that are see-through, not colours of classes"):
        read_label_map(path, spec)
    Image.fromarray(black_and_white.astype(np.uint16)).save(path)
    with pytest.raises(
        DataError, match="holds I;16 values of 16 bits, not colours of classes; export it anew as 8-bit RGB"
    ):
        read_label_map(path, spec)
    colours.save(tmp_path / "map.jpg")
    with pytest.raises(DataError, match="is a label map in JPEG"):
        read_label_map(tmp_path / "map.jpg", spec)


def test_what_the_maps_hold_is_doubted_in_colours(tmp_path: Path) -> None:
    """No sentence speaks of values, which nobody wrote."""
    write(tmp_path)

    def doubts(**options: Any) -> list[str]:
        folder = Folder(root=tmp_path, **options)
        return check_pairs(folder.pairs(folder.spec, with_labels=True), folder.spec, progress=False).doubts()

    assert doubts(colors=ROWS) == []
    most = {"cat": [RED, BLUE], "ignore": [GREEN, BLACK]}
    write(tmp_path, np.full((4, 6, 3), RED, np.uint8))
    assert doubts(colors={"cat": RED, "dog": [GREEN, BLUE]}) == []
    colours = np.full((4, 6, 3), GREEN, np.uint8)
    colours[0] = RED
    write(tmp_path, colours)
    (_, doubt) = doubts(colors=most)
    assert doubt.startswith("Folder: what `colors` leaves out covers most of 1 of 1 label maps and is not scored; if")
    write(tmp_path, np.full((4, 6, 3), BLACK, np.uint8))
    folder = Folder(root=tmp_path, colors=most)
    counted = check_pairs(folder.pairs(folder.spec, with_labels=True), folder.spec, progress=False)
    with pytest.raises(DataError, match="1 label map holds nothing but colours that are not scored; name other"):
        counted.require_labels()


def test_a_mask_of_0_and_255_needs_no_other_file(tmp_path: Path) -> None:
    """Which the doubt about such masks says."""
    write(tmp_path, np.array([[0, 255, 255, 255, 255, 0]] * 4, np.uint8))
    folder = Folder(root=tmp_path, classes=["sky", "crack"])
    (doubt,) = check_pairs(folder.pairs(folder.spec, with_labels=True), folder.spec, progress=False).doubts()
    assert doubt.endswith("or name the grey values by `colors`, [255, 255, 255] for one")
    assert labels_of(tmp_path, colors={"sky": BLACK, "crack": "#ffffff"}) == [0, 1, 1, 1, 1, 0]


def test_the_value_that_is_not_scored_is_no_class(tmp_path: Path) -> None:
    """Of more than 255 classes none is left out."""
    names = {f"thing {n}": [n % 256, n // 256, 1] for n in range(300)}
    colours = np.array([[[254, 0, 1], [255, 0, 1], [0, 1, 1], [43, 1, 1], [0, 0, 0], [0, 0, 1]]] * 4, np.uint8)
    write(tmp_path, colours)
    assert labels_of(tmp_path, colors={**names, "ignore": BLACK}) == [254, 255, 256, 299, -1, 0]
