"""Class lists and words."""

import json
from collections.abc import Iterator

from tests.bad_inputs.cases import NAMES, Case, changed, predicting, put, with_options

LINES = "\n".join(NAMES) + "\n"

# The same names in the forms of other tools: read rightly, or refused.
SAME = {
    "blank lines": "\n" + LINES.replace("\n", "\n\n"),
    "Windows line ends": LINES.replace("\n", "\r\n"),
    "old line ends": LINES.replace("\n", "\r"),
    "a byte order mark": "\ufeff" + LINES,
    "numbers from 0": "".join(f"{number}: {name}\n" for number, name in enumerate(NAMES)),
    "numbers from 1": "".join(f"{number}: {name}\n" for number, name in enumerate(NAMES, 1)),
    "numbers and a space": "".join(f"{number} {name}\n" for number, name in enumerate(NAMES)),
    "numbers and a tab": "".join(f"{number}\t{name}\n" for number, name in enumerate(NAMES)),
    "numbers and a comma": "".join(f"{number},{name}\n" for number, name in enumerate(NAMES)),
    "numbers and a point": "".join(f"{number}. {name}\n" for number, name in enumerate(NAMES)),
    "numbers after the names": "".join(f"{name} {number}\n" for number, name in enumerate(NAMES)),
    "CVAT's form": "# label:color_rgb:parts:actions\n" + "".join(f"{name}:1,2,{n}::\n" for n, name in enumerate(NAMES)),
    "names and colours": "name,r,g,b\n" + "".join(f"{name},{n},2,3\n" for n, name in enumerate(NAMES)),
    "names and colours without a header": "".join(f"{name},{n},2,3\n" for n, name in enumerate(NAMES)),
    "Roboflow's form": "Pixel Value, Class\n" + "".join(f"{n}, {name}\n" for n, name in enumerate(NAMES)),
    "quotes": "".join(f'"{name}"\n' for name in NAMES),
    "quotes and commas": "".join(f"'{name}',\n" for name in NAMES),
    "a Python list": repr(list(NAMES)),
    "a JSON list": json.dumps(NAMES),
    "a JSON list over lines": json.dumps(NAMES, indent=1),
    "a JSON object by number": json.dumps({str(n): name for n, name in enumerate(NAMES)}),
    "a JSON object by name": json.dumps({name: n for n, name in enumerate(NAMES)}),
    "YAML": "".join(f"- {name}\n" for name in NAMES),
    "YAML under a key": "names:\n" + "".join(f"  - {name}\n" for name in NAMES),
    "YAML by number": "names:\n" + "".join(f"  {n}: {name}\n" for n, name in enumerate(NAMES)),
    "comments": "# the classes\n" + LINES + "# end\n",
    "one line with commas": ", ".join(NAMES),
    "one line with semicolons": "; ".join(NAMES),
    "one line with pipes": "|".join(NAMES),
    "trailing commas": "".join(f"{name},\n" for name in NAMES),
    "trailing spaces": "".join(f"{name}  \n" for name in NAMES),
    "no line end at the end": LINES.rstrip(),
}
REFUSED = {
    "an empty file": "",
    "blank lines only": "\n\n \n",
    "comments only": "# nothing\n",
    "a name twice": LINES.replace("sky", "grass"),
    "a name twice but for case": LINES.replace("sky", "Grass"),
    "a name twice but for spaces": LINES.replace("sky", "grass "),
    "bytes that are no text": b"\xff\xfe\x00g\x00r",
    "Latin 1": "gr\xe4s\nsky\nsand\nwater\n".encode("latin-1"),
    "NUL": "gra\0ss\nsky\nsand\nwater\n",
    "a bell": "gra\x07ss\nsky\nsand\nwater\n",
    "an escape": "\x1b[31mgrass\x1b[0m\nsky\nsand\nwater\n",
    "too few names": "grass\nsky\n",
    "a web page": "<!DOCTYPE html><html><body>404</body></html>",
    "a picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 50,
    "a JSON object of objects": '{"classes": {"a": {"b": 1}}}',
    "a cut JSON list": '["grass", "sky"',
    "numbers with a gap": "0: grass\n1: sky\n3: sand\n4: water\n",
    "numbers twice": "0: grass\n0: sky\n1: sand\n2: water\n",
    "a name of only a zero-width space": "grass\n\u200b\nsand\nwater\n",
    "a name of only punctuation in quotes": 'grass\n""\nsand\nwater\n',
    "a hundred thousand names": "\n".join(f"w{number}" for number in range(100_000)),
}
EITHER = {
    "a line separator of Unicode": "grass\u2028sky\nsand\nwater\n",
    "a form feed": "grass\x0csky\nsand\nwater\n",
    "a next line": "grass\x85sky\nsand\nwater\n",
    "a soft hyphen": "gra\u00adss\nsky\nsand\nwater\n",
    "a zero-width space in a name": "gra\u200bss\nsky\nsand\nwater\n",
    "a mark of direction": "\u202egrass\nsky\nsand\nwater\n",
    "a byte order mark in the middle": "grass\n\ufeffsky\nsand\nwater\n",
    "an unbalanced quote": '"grass\nsky\nsand\nwater\n',
    "UTF-16": LINES.encode("utf-16"),
}


def list_cases() -> Iterator[Case]:
    """`--data.classes FILE`."""
    for name, content in SAME.items():
        yield changed(f"class list: {name}", put("classes.txt", content), end="either")
    for name, content in REFUSED.items():
        yield changed(f"class list: {name}", put("classes.txt", content), end="refused")
    for name, content in EITHER.items():
        yield changed(f"class list: {name}", put("classes.txt", content), end="either")
    long = " ".join(["grass"] * 90)
    yield changed(
        "names beyond 77 tokens", put("classes.txt", f"{long} one\n{long} two\nsand\nwater\n"), end="refused", says="77"
    )
    yield changed("one name beyond 77 tokens", put("classes.txt", f"{long}\nsky\nsand\nwater\n"), end="told", says="77")
    yield with_options(
        "background listed and given",
        "--data.background_index",
        "0",
        "--data.background",
        "grass",
        end="refused",
        says="grass",
    )
    yield changed(
        "background first in the list, its index given",
        put("classes.txt", "background\nsky\nsand\nwater\n"),
        "--data.background_index",
        "0",
        end="any",
    )
    yield changed(
        "background last in the list, its index 0",
        put("classes.txt", "grass\nsky\nsand\nbackground\n"),
        "--data.background_index",
        "0",
        end="refused",
        says="background",
    )
    for value in (
        "[]",
        "[grass]",
        "[a, b, b, c]",
        "{a: 1}",
        "nowhere.txt",
        "/dev/null",
        "/",
        "~nobodyofthisname/x.txt",
        "",
        "null",
        "[1, 2, 3, 4]",
        "[on, off, yes, no]",
    ):
        yield with_options(f"--data.classes {value!r}", "--data.classes", value, end="any")


def word_cases() -> Iterator[Case]:
    """`predict --data.words`."""

    def words(text: str, end: str = "any", *more: str, says: str = "") -> Case:
        return changed(
            f"words {text[:40]!r} {more}",
            lambda root: None,
            "--data.words",
            text,
            *more,
            end=end,
            says=says,
            command=predicting,
        )  # type: ignore[arg-type]

    for text in (
        "cat: tabby; dog",
        "[cat, dog]",
        "# 1 pencil; dog",
        "null",
        "~ tilde; dog",
        "~dog; cat",
        "on; off",
        "1; 2",
        "{a: b}; c",
        "!tag; x",
        "&anchor; *alias",
        "'; \"",
        "-; -",
        "@x; %y",
        "cat\ndog",
        "cat\r\ndog",
        "gra\0ss; sky",
        "\x07; sky",
        "\u200b; sky",
        "ﬁsh; dog",
        "🐈; 🐕",
        "猫; 犬",
        "a" * 3000 + "; b",
    ):
        yield words(text)
    for text in (
        "",
        " ",
        ";",
        ";;",
        ",",
        "cat",
        "cat, dog, bird",
        "cat; ;dog",
        "cat; cat",
        "cat; Cat",
        "cat, cat; dog",
        "cat;",
        "/nowhere/names.txt",
        "nowhere.txt",
        "./names.csv",
        "/",
    ):
        yield words(text, "refused" if text != "cat;" else "any")
    yield words("cat; dog", "refused", "--data.background", "dog", says="dog")
    yield words("cat; dog", "refused", "--data.background", "wall, wall", says="wall")
    yield words("cat", "any", "--data.background", "wall")
    for threshold in ("-0.1", "1.5", "nan", ".inf", "often", "true", "[0.5]", "{a: 1}", ""):
        yield words("cat; dog", "refused", "--data.threshold", threshold, says="threshold")
    yield words("cat; None of these", "refused", "--data.threshold", "auto", says="None of these")
    yield words("cat", "refused", "--data.threshold", "none", says="threshold auto")
    yield words("cat; dog", "refused", "--data.probabilities", "jpg", says="png, npz or none")
    yield words("cat; background", "refused", "--data.background", "wall", says="background")
    for image in (
        "/nowhere",
        "[]",
        "",
        "*.jpg",
        "/dev/null",
        "/dev/zero",
        "[/nowhere/a.png, /nowhere/b.png]",
        "~nobodyofthisname/x.png",
    ):
        yield changed(
            f"--data.images {image!r}",
            lambda root: None,
            "--data.images",
            image,
            end="refused",
            command=predicting,
        )
