"""Methods from outside the package: files, modules, entry points, records; and what is said where they are none."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from cliptrase.clip.encoder import VisualEncoder
from cliptrase.clip.trunk import Block, Reading, Trunk
from cliptrase.clip.weights import LoadedClip
from cliptrase.common.errors import InputError
from cliptrase.methods import METHODS, Method, get_method, get_methods, split_methods
from cliptrase.methods import naming as methods_module
from cliptrase.protocols.table import get_protocol
from cliptrase.readings import last_block, reading
from cliptrase.segmenter import Segmenter
from cliptrase.vocabulary import Vocabulary, single_names
from tests.kit import outside_methods, scene_batch

FILE = outside_methods.__file__


def test_the_table_needs_no_torch() -> None:
    code = (
        "import sys; from cliptrase.methods import METHODS, get_method; get_method('gem+regions'); "
        "raise SystemExit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_table_is_read_only() -> None:
    with pytest.raises(TypeError):
        METHODS["mine"] = METHODS["vanilla"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("spec", "name", "regions"),
    [
        (":KEY_KEY", "key_key", False),
        (":KEY_KEY+regions", "key_key+regions", True),
        (":KEY_KEY-regions", "key_key", False),
        (":MIXED", "mixed", True),
        (":MIXED-denoise+mean", "mixed-denoise+mean", True),
        (":MIXED-regions", "mixed-regions", False),
        (":mixed", "mixed", False),
        (":key_key+regions", "key_key+regions", True),
    ],
)
@pytest.mark.parametrize("place", [FILE, "tests.kit.outside_methods"])
def test_files_and_modules(place: str, spec: str, name: str, regions: bool) -> None:
    """A record, a reading, or a rule, with the usual switches."""
    method = get_method(place + spec)
    assert (method.name, method.regions) == (name, regions)
    assert get_method(place + spec) == method
    assert get_method(method) is method


def test_a_bare_rule_governs_the_last_block(loaded_clip: LoadedClip) -> None:
    method = get_method(f"{FILE}:key_key")
    record = Method("as_record", "tests", last_block(outside_methods.key_key))
    assert method.source == f"{FILE}:key_key"
    pixels = scene_batch([1], 64, 80) / 255
    with torch.no_grad():
        encoded = VisualEncoder(loaded_clip.model.visual)(pixels, [method, record]).features
    assert torch.equal(encoded["key_key"], encoded["as_record"])


def test_a_file_that_changes_is_loaded_anew(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for factor in (2, 3):
        file.write_text(f"FACTOR = {factor}\ndef rule(p):\n    return p.value * FACTOR\n")
        (rule,) = {get_method(f"{file}:rule").load_reading().read.keywords["rule"]}
        assert rule.__globals__["FACTOR"] == factor


def test_modules_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_of_the_directory.py").write_text("def rule(p):\n    return p.value\n")
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    assert get_method("module_of_the_directory:rule").name == "rule"
    assert sys.path == path


def test_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "theirs": EntryPoint("theirs", "tests.kit.outside_methods:MIXED", methods_module.ENTRY_POINTS),
        "gone": EntryPoint("gone", "no_such_module:MIXED", methods_module.ENTRY_POINTS),
    }
    monkeypatch.setattr(methods_module, "installed", {methods_module.ENTRY_POINTS: points}.__getitem__)
    method = get_method("theirs-regions")
    assert (method.name, method.regions, method.reading) == ("theirs-regions", False, outside_methods.mixed)
    with pytest.raises(InputError, match=r"method 'gone', installed as no_such_module:MIXED, cannot be loaded: Module"):
        get_method("gone")
    with pytest.raises(
        InputError, match=r"unknown method 'their' \(did you mean theirs\?\): take one of .*, theirs, gone"
    ):
        get_method("their")


BROKEN = {
    "syntax.py": "def rule(p)\n",
    "raises.py": "import math\n\nx = math.sqrt(-1)\n",
    "imports.py": "import no_such_module\n",
    "empty.py": "from pathlib import Path\n",
    "holds.py": (
        "import torch\nfrom cliptrase.readings import last_block\nNUMBER = 3\nclass Rule: pass\n"
        "def pair(p, q): return p\ndef rule(p): return p.value\nREADING = last_block(rule)\n"
    ),
}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("absent.py:RULE", "absent.py cannot be read (No such file or directory); give FILE.py:NAME"),
        (".py:RULE", "cannot be read"),
        ("syntax.py:rule", "syntax.py cannot be imported: SyntaxError in line 1: expected ':'"),
        ("raises.py:rule", "raises.py cannot be imported: ValueError in line 3: "),
        ("imports.py:rule", "imports.py cannot be imported: ModuleNotFoundError in line 1: No module named"),
        ("empty.py:rule", "has no 'rule' and nothing else that is a method"),
        ("holds.py:rul", "has no 'rul' (did you mean rule?); it has rule, READING"),
        ("holds.py:", "has no ''; it has rule, READING"),
        ("holds.py", "has no ''; it has rule, READING"),
        ("holds.py:NUMBER", "is no method but 3; it must be a Method, a Reading, or an attention rule"),
        ("holds.py:Rule", "is no method but <class "),
        ("holds.py:pair", "is no method but <function pair"),
        ("holds.py:rule+region", "unknown method"),
        ("holds.py:rule-denoise", "are parts of the region vote; add +regions"),
        ("no_such_module:rule", "there is no module no_such_module; install it, or give FILE.py:NAME"),
        ("tests.no_such_module:rule", "there is no module tests.no_such_module"),
        ("tests.kit.outside_methods:RULE", "tests.kit.outside_methods has no 'RULE'"),
    ],
)
def test_what_is_no_method(spec: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in BROKEN.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        get_method(spec)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_names_that_are_taken(tmp_path: Path) -> None:
    """Published figures stand beside the table's names; and a name is one column."""
    file = tmp_path / "mine.py"
    file.write_text("def key_key(p): return p.key\ndef sclip(p): return p.value\n")
    with pytest.raises(InputError, match=r"method sclip of .*mine.py:sclip: the name is taken by SCLIP, Wang et al"):
        get_method(f"{file}:sclip")
    with pytest.raises(InputError, match=r"method cliptrase of .*: the name is taken by CLIPtrase"):
        get_methods([replace(METHODS["cliptrase"], regions=False)])
    with pytest.raises(InputError, match=r"method key_key of .*mine.py:key_key: the name is taken by tests; give one"):
        get_methods([f"{FILE}:KEY_KEY", "vanilla", f"{file}:key_key"])
    both = get_methods([f"{FILE}:KEY_KEY", f"{FILE}:KEY_KEY-regions", METHODS["vanilla"], "vanilla"])
    assert [method.name for method in both] == ["key_key", "vanilla"]


@pytest.mark.parametrize("values", [{"name": "my method"}, {"name": ""}, {"vote": "median"}, {"reading": 3}])
def test_records_that_cannot_be(values: dict[str, object]) -> None:
    with pytest.raises(InputError, match="method"):
        replace(outside_methods.KEY_KEY, **values)  # type: ignore[arg-type]


def test_lists_of_methods() -> None:
    assert split_methods(None) == []
    assert split_methods("gem, a.py:B+regions,") == ["gem", "a.py:B+regions"]
    assert split_methods(["gem", METHODS["vanilla"]]) == ["gem", METHODS["vanilla"]]


PIXELS = torch.zeros(2, 3, 32, 48)


@torch.no_grad()
def encode(clip: LoadedClip, made: Reading) -> None:
    VisualEncoder(clip.model.visual)(PIXELS, [Method("mine", "tests", made)])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            reading(tokens=(-1,))(lambda trunk: trunk.tokens(-1)),
            "its reading returns torch.float32 (2, 7, 128); wanted",
        ),
        (reading()(lambda trunk: None), "its reading returns NoneType; wanted are projected tokens, class token first"),
        (reading(tokens=(-1,))(lambda t: t.project(t.tokens(-1))[:, 1:]), "returns torch.float32 (2, 6, 64)"),
        (last_block(lambda p: p.tokens), "attention rule <lambda> returns (2, 7, 128); wanted is what each head"),
        (last_block(lambda p: None), "attention rule <lambda> returns NoneType; wanted"),  # type: ignore[arg-type,return-value]
        (
            reading(tokens=(-1,))(lambda t: t.tokens(-2)),
            "asks for it: Reading(..., tokens=(-2,)); this one asks for tokens of -1",
        ),
        (
            reading()(lambda t: t.mean_attention(0)),
            "asks for it: Reading(..., attention=(0,)); this one asks for attention of no block",
        ),
        (reading()(lambda t: t.projections(-1)), "asks for it: Reading(..., projections=(-1,))"),
        (reading()(lambda t: t.text), "asks for it: Reading(..., text=True)"),
        (reading()(lambda t: t.guest), "asks for it: Reading(..., guest=True)"),
        (reading(tokens=(40,))(lambda t: t.tokens(40)), "method mine reads block 40, but the visual tower has"),
        (reading(tokens=(-40,))(lambda t: t.tokens(-40)), "method mine reads block -40, but the visual tower has"),
        (lambda trunk: trunk, "is no Reading; make one with cliptrase.readings"),
    ],
)
def test_readings_that_cannot_be(loaded_clip: LoadedClip, made: Reading, words: str) -> None:
    with pytest.raises(InputError) as error:
        encode(loaded_clip, made)
    assert words in str(error.value)


def test_position_embedding_that_is_none(loaded_clip: LoadedClip) -> None:
    method = replace(outside_methods.KEY_KEY, position_embedding="cubic")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="position_embedding 'cubic' is none of dino, bicubic, bilinear, antialias"):
        VisualEncoder(loaded_clip.model.visual).require([method])


@pytest.mark.parametrize("values", [{"depth": 2}, {"step": lambda block, carried: carried}, {"depth": -1}])
def test_a_step_goes_with_a_depth(values: dict[str, object]) -> None:
    with pytest.raises(InputError, match="a reading's step is called at the last `depth` blocks"):
        Reading(lambda trunk: trunk.grid, **values)  # type: ignore[arg-type,return-value]


def test_blocks_are_counted_from_either_end(loaded_clip: LoadedClip) -> None:
    """What a trunk gives is what open_clip's own blocks give."""
    visual = loaded_clip.model.visual
    count = len(visual.transformer.resblocks)
    numbers = tuple(range(count))
    seen: list[torch.Tensor] = []
    trunks: list[Trunk] = []
    steps: list[Block] = []

    def read(trunk: Trunk) -> torch.Tensor:
        trunks.append(trunk)
        return trunk.project(trunk.tokens(-1))

    def step(block: Block, carried: int | None) -> int:
        steps.append(block)
        return (carried or 0) + 1

    made = Reading(read, projections=numbers, tokens=numbers, attention=numbers, step=step, depth=3)
    hooks = [block.register_forward_hook(lambda *a: seen.append(a[-1])) for block in visual.transformer.resblocks]
    pixels = scene_batch([3], 224, 224) / 255
    with torch.no_grad():
        expected = visual(pixels)
        for hook in hooks:
            hook.remove()
        encoding = VisualEncoder(visual)(pixels, [Method("mine", "tests", made)])
    torch.testing.assert_close(encoding.features["mine"][:, 0], expected, rtol=0, atol=1e-4)
    (trunk,) = trunks
    assert trunk.carried == 3
    assert [block.number for block in steps] == list(numbers[-3:])
    for number in numbers:
        torch.testing.assert_close(trunk.tokens(number), seen[number], rtol=0, atol=1e-4)
        assert trunk.tokens(number) is trunk.tokens(number - count)
        p = trunk.projections(number)
        weights = (p.query @ p.key.mT * p.query.shape[-1] ** -0.5).softmax(-1).mean(1)
        torch.testing.assert_close(trunk.mean_attention(number - count), weights, rtol=0, atol=1e-6)
    torch.testing.assert_close(steps[1].tokens, trunk.tokens(-3), rtol=0, atol=0)
    assert steps[2].projections is trunk.projections(-1)


@pytest.mark.parametrize("name", ["paper", "sclip"])
def test_a_reading_of_the_names(name: str, loaded_clip: LoadedClip) -> None:
    """Takes off what all names have in common with a token; `encode` alone does not know the names."""

    @reading(tokens=(-1,), text=True)
    def without_common(trunk: Trunk) -> torch.Tensor:
        features = trunk.project(trunk.tokens(-1))
        common = trunk.text.mean(0)
        return features - (features @ common).unsqueeze(-1) * common / common.square().sum()

    values = {"size": 160} if name == "paper" else {"window": 64, "stride": 32}
    segmenter = Segmenter(
        loaded_clip, get_protocol(name, **values), [Method("mine", "tests", without_common), "vanilla"]
    )
    classifier = segmenter.classifier(Vocabulary(single_names(["cat", "dog", "sky"])), progress=False)
    images = scene_batch([1, 2], 96, 112)
    labels = segmenter(images, classifier).labels
    encoded = segmenter.encode(images, names=classifier)
    assert torch.equal(segmenter.label(encoded, classifier)["mine"], labels["mine"])
    assert not torch.equal(labels["mine"], labels["vanilla"])
    with pytest.raises(InputError, match="method mine reads the names' text embeddings; give them as `names`"):
        segmenter.encode(images)
    with pytest.raises(InputError, match="give them as `text`"):
        segmenter.encoder(segmenter.prepare(images), segmenter.methods)
    other = segmenter.classifier(Vocabulary(single_names(["cat", "dog", "tree"])), progress=False)
    with pytest.raises(InputError, match="method mine reads the names, and the images were encoded for others"):
        segmenter.label(encoded, other)
    equal = replace(classifier, embeddings=classifier.embeddings.clone())
    assert torch.equal(segmenter.label(encoded, equal)["mine"], labels["mine"])
