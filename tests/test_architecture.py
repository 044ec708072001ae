"""Imports run one way: pure functions <- encoder, text <- segmenter <- lightning_module <- cli."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Every module of the package stands in one layer and imports only from earlier ones, or from its own.
LAYERS = (
    {"errors", "timing", "provenance", "visualization", "distributed", "markup", "published"},
    {
        "drawing",
        "vocabulary",
        "templates",
        "metrics",
        "bootstrap",
        "correlation",
        "clustering",
        "kernels",
        "triton_kernels",
        "median",
        "upsampling",
        "classification",
    },
    {"attention", "regions", "position", "pixels", "protocol", "results", "picture", "counting", "global_patch_panel"},
    {"sheets", "methods", "charts", "comparison", "report_comparison", "report_page"},
    {"encoder", "text", "checkpoint", "report"},
    {"windows", "whole_inference", "weights"},
    {"slide_inference"},
    {"segmenter"},
    {"global_patch_analysis"},
    {"lightning_module", "global_patch_figure"},
    {"run_folder", "global_patch", "sheet_choice"},
    {"callbacks", "photo_writer", "tensorboard"},
    {"cli"},
)
LIGHTNING = {"run_folder", "sheet_choice", "lightning_module", "callbacks", "photo_writer", "tensorboard", "cli"}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_modules() -> list[Path]:
    return [path for path in sorted((ROOT / "cliptrase").glob("*.py")) if path.stem != "__init__"]


def layer_of(module: str) -> int:
    (layer,) = [number for number, names in enumerate(LAYERS) if module in names]
    return layer


@pytest.mark.parametrize("path", own_modules(), ids=lambda path: path.stem)
def test_a_module_imports_only_what_lies_before_it(path: Path) -> None:
    layer = layer_of(path.stem)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "cliptrase" and len(parts) > 1 and (ROOT / "cliptrase" / f"{parts[1]}.py").exists():
            assert layer_of(parts[1]) <= layer, f"{path.stem} imports {parts[1]}"


@pytest.mark.parametrize("path", own_modules(), ids=lambda path: path.stem)
def test_the_method_needs_no_trainer(path: Path) -> None:
    if path.stem not in LIGHTNING:
        assert not any(name.startswith(("pytorch_lightning", "datamodules")) for name in imports(path))


def test_the_model_knows_nothing_of_the_data_modules() -> None:
    users = {path.stem for path in own_modules() if any(n.startswith("datamodules") for n in imports(path))}
    assert users == {"cli"}


@pytest.mark.parametrize("path", sorted((ROOT / "datamodules").rglob("*.py")), ids=lambda path: path.stem)
def test_data_modules_know_nothing_of_the_model_but_the_vocabulary(path: Path) -> None:
    modules = {".".join(name.split(".")[:2]) for name in imports(path) if name.startswith("cliptrase")}
    assert modules <= {"cliptrase.vocabulary"}


def test_no_file_grows_out_of_hand() -> None:
    sources = [*ROOT.glob("*.py"), *(ROOT / "cliptrase").rglob("*.py"), *(ROOT / "datamodules").rglob("*.py")]
    long = {path.name: lines for path in sources if (lines := len(path.read_text().splitlines())) > 260}
    assert not long
