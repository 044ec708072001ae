"""Large pictures through the command line: by tiles, equal to small ones' way, interrupted and gone on with."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cliptrase.cli import main
from cliptrase.common import resizing
from cliptrase.common.io import OutputError
from cliptrase.inference import window_maps
from cliptrase.inference.large import Band, LargePicture
from cliptrase.runs.band_file import BandFile
from tests.command import QUIET, Run, complaint, run
from tests.kit import scene

SIZE = (210, 170)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Four bands of 16 bits, red, green and blue last of them and dark."""
    shown = scene(2, *SIZE)[0].astype(np.uint16)
    bands = np.dstack([np.full(SIZE, 7, dtype=np.uint16), shown[..., ::-1] * 5 + 300])
    path = tmp_path / "pictures" / "aerial.tif"
    path.parent.mkdir()
    tifffile.imwrite(path, bands, photometric="minisblack", planarconfig="contig")
    return path


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a hundred pixels a side are large, in blocks of 50."""
    monkeypatch.setattr(resizing, "_LARGE", 100 * 100)
    monkeypatch.setattr(window_maps, "_UNCUT", 64)
    monkeypatch.setattr(window_maps, "_BLOCK", 50)


def options(clip: Path, images: Path, *more: str) -> list[str]:
    chosen = ["--config", "tiles"]
    chosen += ["--protocol.window", "64", "--protocol.stride", "32", "--protocol.templates", "vild"]
    chosen += ["--data.words", "cat, kitten; dog; tree", "--data.background", "wall"]
    chosen += ["--data.bands", "4,3,2", "--data.stretch", "percentile 2 98"]
    return [*chosen, "--model.clip", f"local-dir:{clip}", "--data.images", str(images), *more]


def written(finished: Run) -> Iterator[tuple[str, bytes]]:
    for path in sorted(path for path in finished.folder.rglob("*") if path.is_file()):
        if path.name != "config.yaml" and "events" not in path.name and "sheets" not in path.parts:
            yield str(path.relative_to(finished.folder)), path.read_bytes()


@pytest.mark.parametrize("further", [(), ("--protocol.min_area", "0.3")])
def test_by_tiles_or_whole(
    further: tuple[str, ...],
    picture: Path,
    tiny_clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(window_maps, "_UNCUT", 64)
    monkeypatch.setattr(window_maps, "_BLOCK", 50)
    whole = run("predict", tmp_path / "whole", *options(tiny_clip, picture, *further))
    assert (
        "bands 4, 3, 2 of 1 picture of 4 bands (uint16) are shown, stretch percentile 2 98" in capsys.readouterr().err
    )
    monkeypatch.setattr(resizing, "_LARGE", 100 * 100)
    tiled = run("predict", tmp_path / "tiled", *options(tiny_clip, picture, *further))
    said = capsys.readouterr().err
    assert "note: aerial: 170 x 210 pixels are worked on by tiles, 30 windows of 64\n" in said
    assert dict(written(tiled)) == dict(written(whole))
    assert len(np.unique(tiled.mask("Photos", "aerial"))) > 1
    (row,) = csv.DictReader((tiled.folder / "predictions.csv").read_text().splitlines())
    assert sum(float(value) for name, value in row.items() if name != "picture") == pytest.approx(1, abs=5e-6)


class StoppedError(Exception):
    """In place of a power cut."""


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("further", [(), ("--protocol.min_area", "0.3")])
def test_an_interrupted_run_goes_on(
    further: tuple[str, ...],
    picture: Path,
    tiny_clip: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tifffile.imwrite(
        picture.parent / "a.tif",
        np.dstack([scene(3, 120, 130)[0]] * 2),
        photometric="minisblack",
        planarconfig="contig",
    )
    chosen = options(tiny_clip, picture.parent, *further, "--data.export", "coco,words,polygons")
    unbroken = run("predict", tmp_path / "unbroken", *chosen)
    root = ["--trainer.default_root_dir", str(tmp_path / "out")]
    write = BandFile.write
    done: list[int] = []
    bands_of_a = 6 if further else 3  # twice where the rule for small classes asks
    for resumes, stop in enumerate((2, bands_of_a - 2 + 2)):

        def stopping(self: BandFile, band: Band, stop: int = stop) -> None:
            write(self, band)
            done.append(band.number)
            if len(done) == stop:
                raise KeyboardInterrupt

        done.clear()
        with monkeypatch.context() as patch:
            patch.setattr(BandFile, "write", stopping)
            assert main(["predict", *chosen, *QUIET, *root, *["--resume"] * resumes]) == 130
        left = "error: interrupted: what is finished is in "
        assert left in (said := capsys.readouterr().err)
        assert "the same command with --resume goes on with large pictures there" in said
    (folder,) = (tmp_path / "out").iterdir()
    assert len(list((folder / "unfinished").glob("*.labels"))) == 1  # a's is finished
    capsys.readouterr()
    seen: list[int] = []
    bands = LargePicture.bands

    def watched(self: LargePicture, first: int = 0, *rest: object, **more: object) -> Iterator[Band]:
        for band in bands(self, first, *rest, **more):  # type: ignore[arg-type]
            seen.append(band.number)
            yield band

    monkeypatch.setattr(LargePicture, "bands", watched)
    assert main(["predict", *chosen, *QUIET, *root, "--resume"]) == 0
    printed = capsys.readouterr()
    assert f"resumed: {folder}" in printed.out
    assert "aerial: 170 x 210 pixels are worked on by tiles, 30 windows of 64" in printed.err
    assert "note: a: " not in printed.err
    assert seen[0] > 0
    assert dict(written(Run(folder))) == dict(written(unbroken))
    assert not (folder / "unfinished").exists()
    exported = {path.name for path in (folder / "exports").rglob("*.*")}
    assert exported == {"coco.json", "a.png", "aerial.png", "a.geojson", "aerial.geojson"}


@pytest.mark.usefixtures("tiles")
def test_other_words_begin_anew(
    picture: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    chosen = options(tiny_clip, picture)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BandFile, "finish", lambda self, counts: (_ for _ in ()).throw(StoppedError))
        with pytest.raises(StoppedError):
            main(["predict", *chosen, *QUIET, "--trainer.default_root_dir", str(out)])
    capsys.readouterr()
    changed = [*chosen, "--data.words", "cat; dog", "--resume"]
    assert main(["predict", *changed, *QUIET, "--trainer.default_root_dir", str(out)]) == 0
    assert "differs in: vocabulary of Photos, tokenizer of Photos; a new one starts" in capsys.readouterr().out
    assert len(list(out.iterdir())) == 2


def test_a_band_file_believes_only_its_own(tmp_path: Path) -> None:
    band = Band(0, 0, np.full((4, 6), 3, dtype=np.uint8), np.arange(5))
    file = BandFile(tmp_path / "u", "a/b", "one", (8, 6), 5)
    file.write(band)
    again = BandFile(tmp_path / "u", "a/b", "one", (8, 6), 5)
    assert (again.bands, again.rows, again.areas.tolist()) == (1, 4, [0, 1, 2, 3, 4])
    for other in (
        BandFile(tmp_path / "u", "a/b", "two", (8, 6), 5),
        BandFile(tmp_path / "u", "a/b", "one", (6, 8), 5),
        BandFile(tmp_path / "u", "a/b", "one", (8, 6), 6),
        BandFile(tmp_path / "u", "a", "one", (8, 6), 5),
    ):
        assert (other.bands, other.rows) == (0, 0)
    (labels,) = (tmp_path / "u").glob("*.labels")
    labels.write_bytes(labels.read_bytes()[:-1])  # a disk that lost the end
    assert BandFile(tmp_path / "u", "a/b", "one", (8, 6), 5).bands == 0
    labels.unlink()
    labels.mkdir()
    with pytest.raises(
        OutputError, match=r"\.labels cannot be written \(Is a directory\); make room or name another place"
    ):
        file.write(band)
    (state,) = (tmp_path / "u").glob("*.json")
    for broken in ("", "[]", json.dumps({"identity": "one"})):
        state.write_text(broken)
        assert BandFile(tmp_path / "u", "a/b", "one", (8, 6), 5).bands == 0


@pytest.mark.usefixtures("tiles")
def test_refinements_and_broken_pictures(
    picture: Path, tiny_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = picture.read_bytes()
    (picture.parent / "cut.tif").write_bytes(whole[: len(whole) // 2])
    chosen = options(tiny_clip, picture.parent, "--model.method", "sclip+pamr")
    out = tmp_path / "out"
    sentence = complaint(capsys, "predict", *chosen, *QUIET, "--trainer.default_root_dir", str(out))
    assert sentence.startswith("1 picture was passed over, the others are done: ")
    assert "cut.tif cannot be read as a picture (the file is cut off)" in sentence
    (folder,) = out.iterdir()
    assert Run(folder).mask("Photos", "aerial").shape == SIZE


def test_a_georeference_is_kept(
    tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a small picture and of a large one."""
    rasterio = pytest.importorskip("rasterio")
    folder = tmp_path / "pictures"
    folder.mkdir()
    placed = rasterio.Affine(10, 0, 500_000, 0, -20, 5_000_000)
    for name, size in (("small", (60, 70)), ("large", (150, 120))):
        with rasterio.open(
            folder / f"{name}.tif",
            "w",
            driver="GTiff",
            height=size[0],
            width=size[1],
            count=3,
            dtype="uint8",
            crs="EPSG:32632",
            transform=placed,
        ) as file:
            file.write(np.moveaxis(scene(4, *size)[0], 2, 0))
    chosen = options(tiny_clip, folder, "--data.bands", "")
    monkeypatch.setattr(resizing, "_LARGE", 100 * 100)
    finished = run("predict", tmp_path / "out", *chosen)
    assert "georeference" not in capsys.readouterr().err
    for name in ("small", "large"):
        with rasterio.open(finished.folder / "masks" / "Photos" / f"{name}.tif") as file:
            assert (file.crs.to_epsg(), file.transform) == (32632, placed)
            np.testing.assert_array_equal(file.read(1), finished.mask("Photos", name))
            assert file.colormap(1)[1] == (255, 0x55, 0x11, 255)  # the second colour of the palette
            assert file.profile["compress"] == "deflate"
    monkeypatch.setattr("cliptrase.common.georeference.is_installed", lambda: False)
    monkeypatch.setattr("datamodules.reading.is_installed", lambda: False)
    without = run("predict", tmp_path / "without", *chosen)
    assert "note: 2 pictures with a georeference: the label maps lose it" in capsys.readouterr().err
    assert not list(without.folder.rglob("*.tif"))
