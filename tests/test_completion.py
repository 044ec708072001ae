"""Words that a real bash completes by the script of `completion`; that of zsh is only written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cliptrase.cli import COMMANDS, completion, configs, main
from cliptrase.cli.arguments import DATA
from cliptrase.methods import METHODS
from cliptrase.ops.precision import AUTO, PRECISIONS
from cliptrase.protocols.table import PROTOCOLS
from tests.command import complaint

ROOT = Path(__file__).resolve().parent.parent
# What is typed before the key, the last word being completed, and what bash then offers.
TYPED = {
    "": [*COMMANDS],
    "te": ["test"],
    "test --model.m": ["--model.method"],
    "test --data VOC20 --data.la": ["--data.layout", "--data.labels", "--data.label_offset", "--data.label_end"],
    "test --data V": [name for name in DATA if name.startswith("V")],
    "predict --data P": [name for name in DATA if name.startswith("P")],
    "test --resume --data VOC20 --data.layout ": ["auto", "detectron2", "mmseg"],
    "test --data.settings m": ["mess"],
    "test --config sc": [*(name for name in configs.shipped() if name.startswith("sc")), "scenes.yaml"],
    "test --protocol pa": [name for name in PROTOCOLS if name.startswith("pa")],
    "test --protocol.scoring d": ["detectron2"],
    "test --protocol.eps ": [],
    "test --model.method ": [*METHODS],
    "test --model.compare vanilla,nac": ["vanilla,naclip"],
    "test --model.compare vanilla+pamr,naclip+re": ["vanilla+pamr,naclip+regions"],
    "test --model.clip emb": ["embedded"],
    "test --model.clip RN": [],  # towers that cannot be used
    "test --stress ": ["names"],
    "predict --str": [],
    "predict --data.images ph": ["photos"],
    "predict --data.root ": ["photos"],  # folders alone
    "test --trainer.pre": ["--trainer.precision"],
    "list me": ["methods"],
    "doctor --setting VOC2": ["VOC20", "VOC21"],
    "prepare voc --l": ["--list"],
    "report ": ["photos", "scenes.yaml"],
    "completion ": ["bash", "zsh"],
}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "scenes.yaml").touch()
    asks = """
        while IFS= read -r line; do
            COMP_WORDS=(cliptrase); while [[ $line == *" "* ]]; do COMP_WORDS+=("${line%% *}"); line="${line#* }"; done
            COMP_WORDS+=("$line"); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); COMPREPLY=()
            $(complete -p cliptrase | sed 's/.*-F \\([^ ]*\\) .*/\\1/') cliptrase 2>/dev/null
            echo "${COMPREPLY[*]}"
        done
    """
    found = subprocess.run(
        ["bash", "--norc", "-c", f"{completion.script('bash')}\n{asks}"],
        input="".join(f"{line}\n" for line in TYPED),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    offered = dict(zip(TYPED, (line.split() for line in found.stdout.splitlines()), strict=True))
    assert {typed: sorted(words) for typed, words in offered.items()} == {
        typed: sorted(words) for typed, words in TYPED.items()
    }


def test_the_script_for_zsh_is_written_without_torch() -> None:
    code = "import sys; from cliptrase.cli import main; main(['completion', 'zsh']); print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    *script, loaded = found.stdout.splitlines()
    assert script[0] == "#compdef cliptrase"
    assert any("--data.layout[" in line and line.endswith(':(auto detectron2 mmseg)"') for line in script)
    assert loaded == "False"


def test_precisions_are_those_that_a_run_takes() -> None:
    assert (AUTO, *PRECISIONS) == completion.PRECISIONS


def test_shtab_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert complaint(capsys, "completion", "bash") == (
        "completion needs shtab; `pip install 'cliptrase[completion]'` brings it"
    )
    assert main(["completion", "--help"]) == 0
    assert complaint(capsys, "completion", "fish", status=2).startswith("SHELL 'fish' is not known; take one of bash")
