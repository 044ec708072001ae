"""Imports run one way: pure functions <- encoder, text <- segmenter <- runs <- cli."""

import ast
from pathlib import Path

import pytest

import cliptrase

ROOT = Path(__file__).resolve().parent.parent

# Every module of the package stands in one layer and imports only from earlier ones, or from its own. A room whose
# modules all stand in one layer is named as a whole.
LAYERS = (
    {
        *("common", "protocols.definitions", "protocols.domains", "protocols.values", "metrics"),
        *(
            "clip.sniffing",
            "clip.towers",
            "clip.templates",
            "clip.mapped",
            "evaluation.provenance",
            "evaluation.conditions",
        ),
    },
    {
        "ops",
        "vocabulary",
        "correlation",
        "clustering",
        "drawing",
        "exports",
        "inference.pixels",
        "evaluation.intervals",
    },
    {
        *(
            "attention",
            "clip.block",
            "clip.trunk",
            "readings",
            "methods",
            "regions",
            "refinements",
            "protocols.protocol",
            "protocols.table",
        ),
        *("evaluation.counts", "evaluation.domains", "evaluation.notes", "evaluation.published", "evaluation.records"),
    },
    {"evaluation.document", "evaluation.formatting", "evaluation.scoreboard", "evaluation.study_table"},
    {
        *("evaluation.comparison", "evaluation.domain_lines", "evaluation.published_check"),
        *("clip.encoder", "clip.requirements", "clip.text", "clip.checkpoint", "clip.guest", "clip.guest_weights"),
        *("clip.model_config", "clip.hub", "clip.filling"),
    },
    {
        *(
            "report",
            "inference.checks",
            "inference.features",
            "inference.maps",
            "inference.window_maps",
            "inference.whole",
            "inference.windows",
        ),
        *("inference.neutral_words", "inference.neutral", "inference.unlikely"),
        *("inference.naming", "inference.grid", "inference.large", "clip.weights"),
    },
    {"segmenter", "inference.batches"},
    {"studies"},
    {
        "global_patches",
        *("runs.batches", "runs.plan", "runs.identity", "runs.counts_file", "runs.study_counts", "runs.band_file"),
        "runs.partial",
        *("runs.folder", "runs.run", "runs.large_pictures", "runs.progress"),
        *("runs.module", "runs.precision", "runs.logger", "runs.printing"),
    },
    {"runs.callbacks", "evidence"},
    {"app"},
    {"cli", "__main__"},
)
# What a room's modules may not import from one another: its own order, first to last.
ORDERS = {
    "common": (
        "console",
        "distributed",
        "errors",
        "resizing",
        "tables",
        "sheets",
        "timing",
        "extensions",
        *("images.formats", "images.turning", "images.scaling", "images.bands"),
        *("images.decoding", "images.index_maps", "images.reader"),
        *("io", "georeference"),
        "options",
    ),
    "protocols": ("definitions", "domains", "values", "protocol", "table"),
    "clip": (
        "sniffing",
        "towers",
        "templates",
        "mapped",
        "block",
        "trunk",
        "text",
        "checkpoint",
        "guest",
        "filling",
        "guest_weights",
        "requirements",
        "encoder",
        "model_config",
        "hub",
        "weights",
    ),
    "evaluation": (
        *("provenance", "published", "conditions", "intervals", "notes", "counts", "domains", "records"),
        *("formatting", "study_table", "document", "scoreboard", "comparison", "domain_lines", "published_check"),
    ),
    "cli": (
        *("configs", "sources", "arguments", "early", "help_text", "complaints", "processes"),
        *("protocol_option", "refusals", "studies", "run_names", "run_parser", "evaluate"),
        *("evaluation", "known", "model_options", "report", "global_patches", "listing", "verify", "compare"),
        *("completion", "app"),
    ),
    "app": (
        *("address", "worker", "limits", "cache", "studio", "view", "downloads", "script", "patches"),
        *("callbacks", "page", "server"),
    ),
    "runs": (
        *("batches", "plan", "identity", "counts_file", "study_counts", "band_file", "partial"),
        *("folder", "run"),
        *("large_pictures", "progress", "precision", "module"),
        *("logger", "printing"),
        *("callbacks.base", "callbacks.sheet_choice", "callbacks.ending", "callbacks.writers"),
        *("callbacks.loggers", "callbacks.sheets_again", "callbacks.export_writer", "callbacks.photo_writer"),
        "callbacks.probability_writer",
        *("callbacks.tensorboard", "callbacks.summary"),
    ),
    "evidence": (
        "findings",
        "told",
        "recounting",
        "restudying",
        "saying",
        "verification",
        "pairing",
        "pairing_tables",
        "pairing_page",
        "weights",
        "community",
        "community_html",
    ),
    "readings": ("base", "last_blocks", "proxyclip", "pearl", "similarity", "scclip", "sfp", "resclip"),
    "drawing": ("overlay", "legend", "files", "canvas", "naming", "charts", "patch_panel", "picture", "sheets"),
    "exports": ("run_lengths", "outlines", "documents", "file_names"),
    "global_patches": ("analysis", "view", "figure"),
    "inference": (
        *("checks", "features", "pixels", "maps", "neutral_words", "neutral", "unlikely", "naming", "window_maps"),
        *("grid", "whole", "windows", "large", "batches"),
    ),
    "refinements": ("maps", "pamr", "tlp"),
    "methods": ("options", "switches", "record", "parts", "table", "outside", "naming"),
    "studies": ("base", "oracles", "audit", "boundary", "budget", "sweep", "wordings", "name_tables", "names"),
    "ops": (
        *("classification", "pixel_positions", "triton_kernels", "kernels", "median", "position", "upsampling"),
        *("integer_products", "precision"),
    ),
    "report": (
        *("markup", "csv_tables", "markdown", "terminal", "foreign", "checks", "confusion_file", "load"),
        *("figures", "figures_html", "classes_html", "sheets_html"),
        *("comparison_html", "domain_html", "curve_html", "study_html"),
        "page",
    ),
}
LIGHTNING = {"runs", "cli"}


def imports(path: Path) -> set[str]:
    """Modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own_modules() -> dict[str, Path]:
    """Paths by dotted name below `cliptrase`, without the rooms' own `__init__`."""
    package = ROOT / "cliptrase"
    paths = [path for path in sorted(package.rglob("*.py")) if path.stem != "__init__"]
    return {".".join(path.relative_to(package).with_suffix("").parts): path for path in paths}


MODULES = own_modules()


def own_imports(path: Path) -> set[str]:
    """Modules of the package that a file imports, by dotted name below it, also where a room hands their names on."""
    names = {name.removeprefix("cliptrase.") for name in imports(path) if name.startswith("cliptrase")}
    found = names & MODULES.keys()
    for room in {name.partition(".")[0] for name in names - found if name.count(".") == 1}:
        handed_on = ROOT / "cliptrase" / room / "__init__.py"
        if handed_on.exists() and handed_on != path:
            found |= {name.removeprefix("cliptrase.") for name in imports(handed_on)} & MODULES.keys()
    return found


def layer_of(module: str) -> int:
    parts = module.split(".")
    rooms = {".".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    (layer,) = [number for number, names in enumerate(LAYERS) if rooms & names]
    return layer


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_lies_before_it(module: str) -> None:
    for name in own_imports(MODULES[module]):
        assert layer_of(name) <= layer_of(module), f"{module} imports {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.partition(".")[0] in ORDERS])
def test_a_room_has_an_order(module: str) -> None:
    room, _, own = module.partition(".")
    order = ORDERS[room]
    for name in own_imports(MODULES[module]):
        if name.startswith(f"{room}."):
            assert order.index(name.partition(".")[2]) < order.index(own), f"{module} imports {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.partition(".")[0] not in LIGHTNING])
def test_the_method_needs_no_trainer(module: str) -> None:
    names = imports(MODULES[module])
    assert not any(name.startswith(("pytorch_lightning", "datamodules")) for name in names)


@pytest.mark.parametrize("module", MODULES)
def test_the_package_hands_its_names_to_users_only(module: str) -> None:
    """Its own modules name the module that they mean."""
    assert not imports(MODULES[module]) & {f"cliptrase.{name}" for name in cliptrase.__all__ if name[0] != "_"}


def test_only_the_page_needs_gradio() -> None:
    """Whoever has not installed the extra has all the rest."""
    tools = ("gradio", "fastapi", "uvicorn")
    assert {name for name, path in MODULES.items() if any(n.startswith(tools) for n in imports(path))} == {
        "app.callbacks",
        "app.page",
        "app.server",
    }


def test_the_model_knows_nothing_of_the_data_modules() -> None:
    users = {name for name, path in MODULES.items() if any(n.startswith("datamodules") for n in imports(path))}
    assert {name.partition(".")[0] for name in users} == {"cli"}


_FOR_DATA = ("common", "protocols", "vocabulary")


@pytest.mark.parametrize("path", sorted((ROOT / "datamodules").rglob("*.py")), ids=lambda path: path.stem)
def test_data_modules_know_nothing_of_the_model(path: Path) -> None:
    modules = {".".join(name.split(".")[:2]) for name in imports(path) if name.startswith("cliptrase")}
    assert modules <= {f"cliptrase.{name}" for name in _FOR_DATA}


# What is set on objects of others all the same, for Lightning, Python, jsonargparse and shtab offer no other way.
SET_ON_OTHERS = {
    "strategy._launcher",
    "trainer._signal_connector.register_signal_handlers",
    "warnings.formatwarning",
    "threading.excepthook",
    "model.pretrained",  # of the parsed configuration
    "model.compare",  # likewise
    "trainer.logger",  # likewise
    "namespace.protocol",  # of a copy of it
    "again.resume",  # of a copy of it
    "action.complete",  # where shtab looks for what completes an option
}


def set_on_others(path: Path) -> set[str]:
    """Attributes that a file sets, deletes or adds to, of objects other than its own."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = list(node.targets)
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("setattr", "delattr"):
            found.add(ast.unparse(node))
        for target in (part for whole in targets for part in ast.walk(whole)):
            # An element of what an attribute holds is the other's state too: `module.counts[name] = ...`.
            stored = target.value if isinstance(target, ast.Subscript) else target
            own = isinstance(stored, ast.Attribute) and ast.unparse(stored.value) in ("self", "cls")
            if isinstance(stored, ast.Attribute) and not own and not isinstance(target.ctx, ast.Load):
                found.add(ast.unparse(stored))
    return found


@pytest.mark.parametrize("module", [module for module in MODULES if module.partition(".")[0] in LIGHTNING])
def test_nobody_sets_what_is_anothers(module: str) -> None:
    """State of a run is in the run alone; modules, data modules and callbacks keep their attributes to themselves."""
    assert set_on_others(MODULES[module]) <= SET_ON_OTHERS


def test_what_is_set_on_others_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("self.a = data.b = 1\nmodule.c[0] += 1\nself.d.e: int = 2\na, f.g = 1, 2\ndel h.i\nj.k[l.m]\n")
    assert set_on_others(path) == {"data.b", "module.c", "self.d.e", "f.g", "h.i"}
