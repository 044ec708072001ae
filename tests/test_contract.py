"""The contract of the command line, line by line; a line that another test holds is named below with that test."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from cliptrase import __version__
from cliptrase.cli import COMMANDS, configs, early, main
from cliptrase.cli.arguments import DATA, options, with_defaults
from cliptrase.cli.listing import KINDS
from datamodules.doctor import __main__ as doctor_program
from datamodules.prepare import __main__ as prepare_program
from tests.command import complaint

ROOT = Path(__file__).resolve().parent.parent

# What the contract says, and the test elsewhere that holds it.
ELSEWHERE = {
    "0 only where everything was done": (
        "test_photos_cli",
        "test_bad_pictures_are_listed_and_the_others_done",
    ),
    "1 with one sentence": ("test_cli_errors", "test_options_that_cannot_be_used"),
    "130 and 143 after signals": ("cliptrase/common/test_console", "test_a_signal_ends_with_a_sentence"),
    "what was finished is kept": ("test_resume", "test_a_signal_leaves_what_there_is"),
    "standard output closed early": (
        "cliptrase/common/test_console",
        "test_standard_output_that_goes_away_changes_nothing",
    ),
    "prepare": ("datamodules/test_prepare", "test_makes_the_folders_of_the_settings"),
    "doctor": ("datamodules/test_doctor", "test_good_tree_of_all"),
    "report": ("cliptrase/report/test_report", "test_the_command"),
    "verify RUN": ("cliptrase/evidence/test_verification", "test_a_forged_count"),
    "verify --model.clip": ("cliptrase/evidence/test_weights", "test_weights_that_are_what_they_say"),
    "compare": ("cliptrase/evidence/test_pairing", "test_differences_are_those_of_one_run"),
    "app": ("test_app_browser", "test_words_and_a_picture_give_an_answer"),
    "the embedded demo without options": ("test_demo", "test_without_options_the_demo_runs"),
    "nothing of the demo with options": ("test_demo", "test_nothing_of_the_demo_reaches_another_run"),
    "shipped configurations": ("test_cli", "test_every_shipped_configuration_is_understood"),
    "configurations wherever the package is": ("test_cli", "test_configurations_are_found_from_any_folder"),
    "weights files": ("cliptrase/clip/test_weights", "test_weights_files"),
    "OpenAI's spelling": ("cliptrase/clip/test_bad_models", "test_usual_spellings"),
    "towers before downloads": ("cliptrase/clip/test_bad_models", "test_towers_are_refused_before_a_download"),
    "weights after towers": (
        "cliptrase/clip/test_bad_models",
        "test_a_shallow_tower_is_refused_before_its_weights",
    ),
    "--resume goes on": ("test_resume", "test_a_stopped_run_goes_on_to_the_same_table"),
    "--resume says what differs": ("test_resume", "test_other_inputs_start_anew_and_what_differs_is_said"),
    "--resume completes an ended run": ("test_resume", "test_an_ended_run_is_completed_without_computing_anything"),
    "--trainer refuses in a sentence": ("test_faults", "test_what_the_trainer_refuses"),
    "a folder a run": ("test_cli", "test_two_runs_never_share_a_folder"),
    "files written aside": ("cliptrase/evaluation/test_results", "test_a_failed_write_leaves_the_old_file"),
    "results.json": ("test_cli", "test_results_document"),
    "counts": ("test_resume", "test_confusion_matrices_are_kept"),
    "sheets": (
        "cliptrase/runs/callbacks/test_sheet_choice",
        "test_any_split_chooses_the_same",
    ),
    "masks": ("test_cli", "test_masks_are_what_test_scores"),
    "masks of many labels": ("test_cli", "test_masks_of_many_labels_are_16_bit"),
    "masks of empty label maps": ("test_cli", "test_an_empty_label_map_is_not_scored_but_predicted"),
    "Photos' files": ("test_photos_cli", "test_what_a_run_leaves"),
    "published scores": ("test_cli", "test_part_of_a_set_is_marked_everywhere"),
    "left out label maps are said": ("test_questions", "test_pictures_whose_crop_is_empty_are_counted_and_said"),
    "doctor: counts are warnings": ("datamodules/test_doctor", "test_counts_are_warnings"),
    "doctor: unpaired files are errors": ("datamodules/test_doctor", "test_unpaired"),
    "doctor: unreadable files are errors": ("datamodules/test_doctor", "test_unreadable"),
}


@pytest.mark.parametrize("held_by", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_line_is_held_elsewhere(held_by: tuple[str, str]) -> None:
    file, name = held_by
    tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def answers(
    *words: str, program: tuple[str, ...] = ("cli.py",), cwd: Path = ROOT, path: str = ""
) -> tuple[int, str, str]:
    """Runs the command in a process of its own and gives its status and what it printed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (path, str(ROOT))))}
    ended = subprocess.run(
        [sys.executable, *program, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout, ended.stderr


# ------------------------------------------------------------------------------------------------------- one command


def test_three_ways_to_call_one_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"cliptrase": "cliptrase.__main__:console"}
    assert (
        answers("--version")
        == answers("--version", program=("-m", "cliptrase"))
        == (0, f"cliptrase {__version__}\n", "")
    )


def test_the_commands() -> None:
    names = "test predict prepare doctor draw report verify compare list completion global-patches app"
    assert list(COMMANDS) == names.split()


def test_data_programs_run_the_same_functions() -> None:
    assert COMMANDS["prepare"].module == prepare_program.main.__module__
    assert COMMANDS["doctor"].module == doctor_program.main.__module__


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_nothing_is_trained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, command, status=2).startswith("nothing is trained here")


@pytest.mark.parametrize(
    "command", ["", *COMMANDS, "prepare voc", "test --data.help Folder", "predict --data.help photos"]
)
def test_help_is_short(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split() if "help" in command else [*command.split(), "--help"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert max(map(len, printed.out.splitlines())) <= 80
    assert 4 < len(printed.out.splitlines()) < 70


def test_help_of_test_names_the_options_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for option in (
        "--config",
        "--protocol",
        "--data",
        "--data.root",
        "--data.classes",
        "--model.clip",
        "--model.pretrained",
    ):
        assert f" {option} " in text
    for option in ("--model.method", "--model.compare", "--resume", "--trainer.OPTION", "--help=all"):
        assert option in text
    assert "pictures a step (4)" in text
    assert all(name in text for name in DATA)


def test_full_help_is_the_parsers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--help=all"]) == 0
    assert "--trainer.max_epochs" in capsys.readouterr().out


def test_every_option_of_a_data_set_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--data.help", "folder"]) == 0
    told = re.findall(r"--data\.(\w+)", capsys.readouterr().out.partition("\n")[2])
    assert told == list(early.parameters("Folder"))
    assert {"root", "images", "labels", "classes", "ignore_label", "label_offset", "background_index"} <= set(told)
    assert complaint(capsys, "test", "--data.help", "Foldr", status=2).startswith(
        "--data.help Foldr is not a data set; did"
    )


# -------------------------------------------------------------------------------------------------------------- list


@pytest.mark.parametrize("kind", ["", *KINDS])
def test_list_has_a_line_each(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", *kind.split()]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for wanted in [kind] if kind else KINDS:
        names = [name for name, _, _ in KINDS[wanted]()]
        assert names
        assert all(any(line.startswith(f"  {name}") for line in lines) for name in names)


def test_list_of_published_systems(capsys: pytest.CaptureFixture[str]) -> None:
    """Mean, what it adds and what runs it, and where it was read: nothing is cut off."""
    assert main(["list", "published"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert not any("..." in line for line in lines)
    assert lines[lines.index("  NACLIP+PAMR    mIoU 42.5 on 8 data sets (sinahmr/NACLIP, README)") + 1].split("; ") == [
        *("                 adds PAMR", "here: naclip+pamr under naclip"),
    ]


def test_list_of_what_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "list", "method", status=2).startswith("KIND 'method' is not known; did you mean methods?")


# ---------------------------------------------------------------------------------------- at once, and without torch


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        ("--help", 0, "Usage: "),
        ("list", 0, "methods:"),
        ("test --help", 0, "Usage: "),
        ("doctor --help", 0, "usage: "),
        ("prepare voc --help", 0, "usage: "),
        ("report --help", 0, "usage: "),
        ("global-patches --help", 0, "usage: "),
        ("docter", 2, "there is no command 'docter'; did you mean doctor?"),
        ("test --dta VOC20", 2, "test has no option --dta; did you mean --data?"),
        ("test --data VOC20 --data.rot x", 2, "test has no option --data.rot; did you mean --data.root?"),
        (
            "test --data VOC20 --trainer.device 2",
            2,
            "test has no option --trainer.device; did you mean --trainer.devices",
        ),
        ("test --data VOC20 --protocol.sise 2", 2, "test has no option --protocol.sise; did you mean --protocol.size?"),
        (
            "test --data.scenes 16",
            2,
            "--data.scenes is an option of Shapes: give --data Shapes beside it, or --config demo",
        ),
        ("test --data VOC200", 2, "--data VOC200 is not a data set; did you mean VOC20?"),
        ("test --config sclp --data VOC20", 2, "--config 'sclp' is no file and no configuration of that name"),
        ("test --data VOC20 --model.method slip", 1, "unknown method 'slip' (did you mean sclip?)"),
        ("test --data VOC20 --model.compare vanila,sclip", 1, "unknown method 'vanila' (did you mean vanilla?)"),
        (
            "test --data VOC20 --model.clip ViT-B-61",
            1,
            "--model.clip 'ViT-B-61' is not an architecture of open_clip",
        ),
        ("test --data VOC20 --model.clip RN50", 1, "--model.clip RN50: its visual tower is a ResNet"),
        (
            "test --data VOC20 --model.pretrained no/x.pt",
            1,
            "--model.pretrained 'no/x.pt' names a file that does not exist",
        ),
        (
            "test --data VOC20 --model.clip local-dir:no",
            1,
            "--model.clip local-dir:no: no open_clip_config.json in",
        ),
        ("test --data VOC20 --data.root no", 1, "--data.root no is no folder; name the one that holds the data sets"),
        ("test --data Folder --data.images no", 1, "no folder no; name another place by --data.images"),
        ("doctor --root no", 1, "--root no is no folder"),
        ("report --ot x", 2, "report has no option --ot; did you mean --out?"),
        ("verify --help", 0, "usage: "),
        ("compare --help", 0, "usage: "),
        ("verify", 2, "verify needs a run's folder, or weights by --model.clip and --model.pretrained"),
        ("compare x", 2, "compare needs two runs or more"),
        ("verify --model.clip ViT-B-61", 1, "--model.clip 'ViT-B-61' is not an architecture of open_clip"),
        ("test --data VOC20 --check x", 2, "--check x is not known; take published"),
    ],
)
def test_answers_without_torch(words: str, status: int, says: str) -> None:
    code = (
        "import sys; from cliptrase.cli import main; status = main(sys.argv[1:]); assert 'torch' not in sys.modules; "
    )
    ended, out, err = answers(*words.split(), program=("-c", f"{code}sys.exit(status)"))
    assert ended == status, err
    if status:
        (line,) = err.splitlines()
        assert line.startswith(f"error: {says}")
    else:
        assert out.startswith(says)


def test_keys_of_a_configuration_are_known_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "own.yaml"
    for content, meant in (
        ({"modle": {"method": "sclip"}}, "modle that nothing reads; did you mean model?"),
        ({"model": {"metod": "sclip"}}, "model.metod that nothing reads; did you mean model.method?"),
        ({"trainer": {"device": 1}}, "trainer.device that nothing reads; did you mean trainer.devices?"),
        ({"data": {"class_path": "VOC20", "init_args": {"rot": "x"}}}, "data.init_args.rot that nothing reads; "),
    ):
        file.write_text(yaml.safe_dump(content))
        sentence = complaint(capsys, "test", "--config", str(file), "--data", "VOC20", status=2)
        assert sentence.startswith(f"--config {file} has an entry {meant}")


# ----------------------------------------------------------------------------------------------------- test, predict


def given(*words: str) -> dict[str, str | None]:
    return dict(options(with_defaults(["test", *words])[1:]))


@pytest.mark.parametrize(
    ("words", "config"),
    [
        ([], "demo"),
        (["--trainer.devices", "1"], "demo"),
        (["--data", "VOC20"], "paper_336"),
        (["--model.method", "sclip", "--data", "VOC20"], "paper_336"),
        (["--protocol", "sclip", "--data", "VOC20"], "paper_336"),
        (["--data", "folder"], "whole"),
        (["--data", "Photos"], "photos"),
        (["--data", "Folder", "--config", "sclip"], "sclip"),
    ],
)
def test_the_configuration_that_is_taken(words: list[str], config: str) -> None:
    assert given(*words)["--config"] == str(configs.shipped()[config])


def test_a_missing_data_set_is_an_error_that_lists_the_classes(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--model.clip", "ViT-B-16"], ["--config", "sclip"], ["--protocol.size", "224"]):
        sentence = complaint(capsys, "test", *words, status=2)
        assert sentence.startswith("no data: give --data with one of ")
        assert all(name in sentence for name in DATA)


def test_configurations_by_name_or_file(tmp_path: Path) -> None:
    for config in ("sclip", "sclip.yaml", "configs/sclip.yaml"):
        assert given("--config", config)["--config"] in (str(configs.shipped()["sclip"]), config)
    own = tmp_path / "sclip.yaml"
    own.write_text("{}")
    assert given("--config", str(own))["--config"] == str(own)


def test_data_sets_in_any_case_of_letters() -> None:
    for name in DATA:
        assert given("--data", name.lower())["--data"] == given(f"--data={name.upper()}")["--data"] == name


def test_methods_are_compared_in_both_forms() -> None:
    for value in ("vanilla,sclip", "[vanilla,sclip]"):
        assert given("--data", "VOC20", "--model.compare", value)["--model.compare"] == "[vanilla,sclip]"


@pytest.mark.parametrize("name", ["datamodules", "cliptrase", "configs"])
@pytest.mark.parametrize("kind", ["folder", "file"])
def test_a_users_own_folder_of_our_names_breaks_nothing(name: str, kind: str, tmp_path: Path) -> None:
    """Beside the script, in the working folder, or first on the path where that is not Python's own doing."""
    if kind == "folder":
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the user's own')")
        (tmp_path / name / "demo.yaml").write_text("model: nonsense")
    else:
        (tmp_path / f"{name}.py").write_text("raise ImportError('the user's own')")
    calls = [((str(ROOT / "cli.py"),), "")]
    if name != "cliptrase":  # then Python runs the user's own
        calls += [(("-m", "cliptrase"), ""), ((str(ROOT / "cli.py"),), str(tmp_path))]
    for program, path in calls:
        assert answers("list", "datasets", program=program, cwd=tmp_path, path=path)[0] == 0
        words = ("test", "--data", "VOC20", "--model.method", "slip")
        status, out, err = answers(*words, program=program, cwd=tmp_path, path=path)
        assert (status, out) == (1, "")
        assert err.startswith("error: unknown method 'slip'")
