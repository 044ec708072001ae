"""Class lists of people and tools: known forms give the names that were written, anything else names its line."""

import csv
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliptrase.vocabulary import as_read
from datamodules.class_lists import ClassList, read_class_list, read_list
from datamodules.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lists")


def read(path: Path, content: str | bytes, synonyms: bool = False) -> ClassList:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_class_list(path, "--data.classes", synonyms)


# Names as data sets have them: letters of any script, digits and marks inside, a comma now and then.
LETTERS = "abcXYZé猫Я"
WORD = st.builds(
    "{}{}{}".format, st.sampled_from(LETTERS), st.text(LETTERS + "'.&/+-7", max_size=6), st.sampled_from("abé9")
)
NAME = st.one_of(
    st.lists(WORD, min_size=1, max_size=3).map(" ".join),
    st.lists(WORD, min_size=2, max_size=2).map(", ".join),
    st.builds("{}-{}".format, st.integers(0, 99), WORD),
)
HEADERS = {"name", "names", "class", "classes", "label", "labels", "category", "categories", "title"}
NAMES = st.lists(NAME, min_size=2, max_size=12, unique_by=as_read).filter(
    lambda names: not all(re.search(r"\d$", name) or name[0].isdigit() for name in names) and names[0] not in HEADERS
)
COLOURS = [(7 * place % 256, 11 * place % 256, 200) for place in range(12)]


def table(rows: list[list[object]], delimiter: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


FORMS: dict[str, tuple[str, Callable[[list[str]], str]]] = {
    "plain": ("names.txt", "\n".join),
    "windows": ("names.txt", lambda names: "\ufeff" + "\r\n".join(names) + "\r\n\r\n"),
    "comments": ("names.txt", lambda names: "# my classes\n\n" + "\n# more\n".join(names)),
    "colon": ("names.txt", lambda names: "\n".join(f"{place}: {name}" for place, name in enumerate(names))),
    "tab": ("names.txt", lambda names: "\n".join(f"{place}\t{name}" for place, name in enumerate(names))),
    "space": ("names.txt", lambda names: "\n".join(f"{place} {name}" for place, name in enumerate(names))),
    "shuffled": (
        "names.txt",
        lambda names: "\n".join(sorted((f"{i}: {n}" for i, n in enumerate(names)), reverse=True)),
    ),
    "single quotes": ("names.txt", lambda names: "\n".join(repr(name) + "," for name in names)),
    "double quotes": ("names.txt", lambda names: "\n".join(json.dumps(name, ensure_ascii=False) for name in names)),
    "one line of code": ("names.txt", lambda names: ", ".join(map(repr, names))),
    "python": ("names.txt", lambda names: repr(names) if not any("'" in name for name in names) else json.dumps(names)),
    "json": ("names.json", json.dumps),
    "json by number": ("names.json", lambda names: json.dumps(dict(enumerate(names)), indent="\t")),
    "json by name": ("names.json", lambda names: json.dumps({name: place for place, name in enumerate(names)})),
    "coco": ("c.json", lambda names: json.dumps({"categories": [{"id": i, "name": n} for i, n in enumerate(names)]})),
    "yaml": (
        "data.yaml",
        lambda names: "nc: 2\nnames:\n" + "".join(f"  {i}: {json.dumps(n)}\n" for i, n in enumerate(names)),
    ),
    "cvat": (
        "labelmap.txt",
        lambda names: "\n".join(
            [
                "# label:color_rgb:parts:actions",
                *(f"{n}:{r},{g},{b}::" for n, (r, g, b) in zip(names, COLOURS, strict=False)),
            ]
        ),
    ),
    "class_dict": (
        "class_dict.csv",
        lambda names: table([["name", "r", "g", "b"], *([n, *c] for n, c in zip(names, COLOURS, strict=False))]),
    ),
    "colours first": (
        "colours.csv",
        lambda names: table([["r", "g", "b", "Name"], *([*c, n] for n, c in zip(names, COLOURS, strict=False))]),
    ),
    "roboflow": (
        "_classes.csv",
        lambda names: table([["Pixel Value", " Class"], *([place, name] for place, name in enumerate(names))]),
    ),
    "tsv": ("classes.tsv", lambda names: table([["id", "name"], *([i, n] for i, n in enumerate(names))], "\t")),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_known_form_gives_the_names_as_they_were_written(form: str, folder: Path) -> None:
    file, write = FORMS[form]
    path = folder / file

    @settings(max_examples=30)
    @given(NAMES)
    def check(names: list[str]) -> None:
        assert read(path, write(names)).names == names

    check()


@settings(max_examples=300)
@given(st.text(st.sampled_from("ab0 1:,;\t#'\"[]{}()-|=.\n\r\\é猫\x0b\u2028\ufeff"), max_size=40))
def test_whatever_stands_there_is_read_or_refused_by_one_sentence(folder: Path, content: str) -> None:
    """Never a traceback, and never a number, a header, a colour or quotation marks as a name."""
    try:
        found = read(folder / "names.txt", content)
    except DataError as error:
        assert re.fullmatch(r"--data.classes '.*names.txt'.*", str(error))  # noqa: PT017 (one sentence)
        return
    assert len(found.names) == len(found.lines) == len({as_read(name) for name in found.names}) > 0
    quoted = "'" in content or '"' in content
    for name in found.names:
        assert name == name.strip() != ""
        assert quoted or not name.isdigit()
        assert quoted or not re.match(r"\d+\s*[:=\t]", name)
        assert not re.search("[\x0b\u2028\ufeff\t]", name)


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("name\ncat\ndog", 1, "'name' looks like a header"),
        ("name r g b\ncat 0 0 0", 1, "looks like a header"),
        ("names:\n- cat", 1, "'names:' looks like a heading"),
        ("0: cat\n1: dog\nsky", 3, "'sky' has no number, as other lines have"),
        ("0: cat\n2: dog", 2, "number 1 is missing, so that the labels are not 0..1"),
        ("0: cat\n0: dog", 2, "the number 0 stands in line 1 already"),
        ("5: cat\n6: dog", 1, "numbers begin with 5"),
        ("-1: void\n0: cat", 1, "'void' has '-1' where the other lines have a number"),
        ("person 0\ncat 1", 1, "every line ends in its number"),
        ("class 0: cat\nclass 1: dog", 1, "every line holds ':'"),
        ("cat\n3\ndog", 2, "'3' is a number, not a name"),
        ("cat\ndog 0,255,0", 2, "ends in a colour"),
        ("cat #ff0000\ndog #00ff00", 1, "holds a colour"),
        ("# label:color_rgb:parts:actions\ncat:0,0,0::\ndog", 3, "is not of CVAT's form"),
        ("cat,\ndog\nsky", 1, "ends in a comma, and other lines do not"),
        ("'cat\ndog'", 1, "has quotation marks, but not around one name"),
        ("'cat' 'dog'", 1, "has quotation marks, but not around one name"),
        ("['cat' 'dog']", 1, "this is no JSON or YAML"),
        ('{"0": "cat", "0": "dog"}', 1, "the number 0 stands in line 1 already"),
        ('["cat", null]', 1, "null is no name"),
        ("CLASSES = [\n'cat',\n]", 1, "holds a bracket of code"),
        ("item {\n  id: 1", 1, "holds a bracket of code"),
        ("#cat\ndog", 1, "begins with #"),
        ("cat; dog\nsky", 1, "holds a semicolon"),
        ("cat|dog\nsky", 1, "holds |"),
        ("cat\tdog\nsky", 1, "holds a tab"),
        ("cat, dog, sky", 1, "the only line is 'cat, dog, sky', which makes one class"),
        ("cat\n---\ndog", 2, "looks like a comment of code"),
        ("cat\n...\ndog", 2, "is no name"),
        ("cat\ndo\x0bg", 2, "holds the control character U+000B"),
        ("cat\ndog\u2028sky", 2, "holds the line or paragraph separator U+2028"),
        ("cat\n\ufeffdog", 2, "holds the invisible character U+FEFF"),
        ("cat\ndog\u200b", 2, "holds the invisible character U+200B"),
        ("cat\n\u202edog", 2, "holds the invisible character U+202E"),
        ("cat\nd\x00g", 2, "holds the control character U+0000"),
        ("cat\ncaf\ufffd", 2, "holds U+FFFD"),
        ("cat\nsky\nCat ", 3, "'Cat' stands in line 1 already"),
        ("cafe\u0301\ncaf\u00e9", 2, "stands in line 1 already"),
    ],
)
def test_a_line_that_fits_no_form_is_named(content: str, line: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"--data.classes '.*names.txt', line {line}: .*{re.escape(message)}.*; \w+"):
        read(tmp_path / "names.txt", content)


@pytest.mark.parametrize(
    ("content", "file", "message"),
    [
        (b"\xff\xfec\x00a\x00t\x00", "names.txt", "save it as UTF-8"),
        (b"cat\r\ncaf\xe9\r\n", "names.txt", "line 2 is no UTF-8"),
        (b"\n \n", "names.txt", "names no class; write one class a line"),
        (b"foo,bar\ncat,dog", "names.csv", "line 1: 'foo,bar' is no header that is known"),
        (b"name,r,g,b\ncat,0,0", "names.csv", "line 2: 3 columns stand here, 4 in the header"),
        (b"id,name\nx,cat", "names.csv", "'cat' has 'x' where the other lines have a number"),
        (b"id,trainId,name\n0,1,cat", "names.csv", "both number the classes"),
        (b"names: [cat]\nclasses: [dog]", "data.yaml", "line 2: 'classes' is a second list of names"),
        (b"[1", "names.json", "line 1: this is no JSON"),
    ],
)
def test_files_that_are_no_class_list(content: bytes, file: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path / file, content)
    with pytest.raises(DataError, match="no such file"):
        read_class_list(tmp_path, "--data.classes")


def test_names_that_look_like_a_form_but_are_none(tmp_path: Path) -> None:
    for names in (
        ["7-eleven", "cat"],
        ["2 door car", "bus"],
        ["building, edifice", "cat"],
        ["3.5 inch disk", "men's shoe", "tv/monitor", "cat: tabby", "C#", "R&D", "route 66"],
        ["thing 0", "thing 1", "thing 2"],
        ["on", "off", "null", "yes"],
        ["नि\u200dया", "👩\u200d🚀"],
    ):
        assert read(tmp_path / "names.txt", "\n".join(names)).names == names
    assert read(tmp_path / "names.txt", '"label"\n"5"\n"0: cat"\n').names == ["label", "5", "0: cat"]
    assert read(tmp_path / "names.txt", "__ignore__\n_background_\ncat").names == ["_background_", "cat"]
    assert read(tmp_path / "names.txt", "1: cat\n2: dog").first == 1
    assert read(tmp_path / "names.txt", "cat; dog\nsky, air,\n", synonyms=True).names == ["cat; dog", "sky, air,"]


def test_names_given_one_by_one() -> None:
    assert read_list([" on ", "1", "a: b", "name"], "--data.classes").names == ["on", "1", "a: b", "name"]
    for names, message in (
        ([True], "item 1, True, is not text"),
        (["a", " "], "item 2 is empty"),
        (["a\nb"], "U\\+000A"),
    ):
        with pytest.raises(DataError, match=message):
            read_list(names, "--data.classes")  # type: ignore[arg-type]


ENTRIES = ["bird", "cat", "dog"]


@pytest.mark.parametrize("key", ["id", "class_id", "value", "index", "label", "Class ID", "trainId"])
@pytest.mark.parametrize("end", ["json", "yaml"])
def test_entries_are_ordered_by_their_number_whatever_its_key(folder: Path, key: str, end: str) -> None:
    text = json.dumps([{"name": name, key: number} for name, number in zip(ENTRIES, (2, 0, 1), strict=True)])
    assert read(folder / f"names.{end}", text).names == ["cat", "dog", "bird"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"name": n, "rank": r} for n, r in zip(ENTRIES, (3, 1, 2), strict=True)], "'rank' numbers the entries in an"),
        (
            [{"name": n, "id": i, "value": 2 - i} for i, n in enumerate(ENTRIES)],
            "'id' and 'value' both number the classes",
        ),
        ([{"name": n, "class_id": 10 * i} for i, n in enumerate(ENTRIES)], "number 1 is missing"),
        ([{"name": "bird", "index": 0}, {"name": "cat"}], "'cat' has None where the other lines have a number"),
    ],
)
def test_entries_whose_order_is_unsure(folder: Path, entries: list[object], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read(folder / "names.json", json.dumps(entries))


def test_other_numbers_of_entries_are_no_order(folder: Path) -> None:
    """Flags, counts, and what is in the order of the lines anyway."""
    for numbers in ((1, 0, 1), (512, 7, 93), (0, 1, 2)):
        entries = [{"name": name, "isthing": number} for name, number in zip(ENTRIES, numbers, strict=True)]
        assert read(folder / "names.json", json.dumps(entries)).names == ENTRIES


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("names.csv", "name,rank,r\nbird,3,0\ncat,1,0\ndog,2,0\n", "the column 'rank' numbers the lines in another"),
        ("names.txt", "name,supercategory\nbird,animal\ncat,animal\n", "'name,supercategory' looks like a header"),
        ("names.csv", "name,supercategory\nbird,animal\ncat,animal\n", "is no header that is known"),
        ("names.txt", "class\tgroup\nbird\tanimal\ncat\tanimal\n", "looks like a header"),
    ],
)
def test_tables_whose_order_or_header_is_unsure(folder: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=f"line 1: .*{re.escape(message)}"):
        read(folder / name, content)


def test_commas_in_names_are_no_header(folder: Path) -> None:
    assert read(folder / "names.txt", "class, lesson\ncat\ndog\n").names == ["class, lesson", "cat", "dog"]
    assert read(folder / "names.txt", "building, edifice\nwall, fence\nsky, air\n").names[0] == "building, edifice"


def test_a_file_of_annotations_is_read_at_once(folder: Path) -> None:
    """COCO's form: the classes are a few lines of megabytes, and their line is said."""
    annotations = [{"id": number, "bbox": [1.5, 2.5, 30, 40], "category_id": 1} for number in range(60_000)]
    document = {
        "images": [],
        "annotations": annotations,
        "categories": [{"supercategory": "animal", "id": number, "name": name} for number, name in enumerate(ENTRIES)],
    }
    text = json.dumps(document)
    assert len(text) > 3 << 20
    start = time.process_time()
    assert read(folder / "coco.json", text).names == ENTRIES
    assert time.process_time() - start < 3
    lines = json.dumps({"info": {"a": 1}, "categories": [{"id": 0, "name": "a"}, {"id": 0, "name": "b"}]}, indent=1)
    with pytest.raises(DataError, match="line 10: the number 0 stands in line 6 already"):
        read(folder / "coco.json", lines)
    with pytest.raises(DataError, match="line 4: 'labels' is a second list of names"):
        read(folder / "coco.json", '{"names": ["a"],\n\n\n"labels": ["b"]}')
    with pytest.raises(DataError, match="this JSON holds no list of names"):
        read(folder / "coco.json", json.dumps({"annotations": annotations * 2}))
