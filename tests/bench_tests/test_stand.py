# SPDX-License-Identifier: Apache-2.0
"""The stand as a command: options, a whole small run, what is not done twice, frames from elsewhere."""

import importlib.util
import json
import runpy
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from quality import command, store
from quality.clips import Clip
from quality.pictures import write_clip, write_png
from quality.rows import ROWS, Row
from quality.sheet import CROP, contact_sheet, place_of_most_error
from quality.table import from_json
from quality.workbench import Made, NotAvailable

Bytes = npt.NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[2]
CALLS: list[str] = []  # a global: what a row is closed over is a part of its mark


@pytest.fixture
def source(texture: Bytes, tmp_path: Path) -> Path:
    wide = cv2.GaussianBlur(np.hstack([texture, texture[:, ::-1]]), (0, 0), 1.0)
    return write_clip([wide[:, n : n + 128] for n in range(40)], tmp_path / "pan.mkv", Fraction(30))


def arguments(source: Path, tmp_path: Path, *more: str) -> list[str]:
    return ["--clips", str(source), "--frames", "6", "--rows", "unsharp", "--work", str(tmp_path / "work"), *more]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--rows", "magic"],
        ["--windows", "one"],
        ["--windows", "2"],
        ["--preset", "best"],
        ["--start", "later"],
        ["--external", "x"],
        ["--external", "ours=y"],
        ["--protocol", "none"],
        ["--init", "nowhere.safetensors"],
    ],
)
def test_wrong_options_are_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        command.parse(wrong)
    assert stop.value.code == 2


def test_options_change_the_protocol() -> None:
    options = command.parse(["--protocol", "gopro", "--stride", "9", "--windows", "1,7", "--seeds", "2,5"])
    assert (options.protocol.stride, options.protocol.windows, options.protocol.between) == (9, (1, 7), 7)
    assert options.seeds == [2, 5] and options.start == 0
    assert command.parse(["--start", "drawn", "--align", "none"]).start is None


def test_a_clip_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.mp4"):
        command.main(["--clips", "nowhere.mp4", "--work", str(tmp_path)])


def test_the_table_is_made_from_a_clip_of_ones_own(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(arguments(source, tmp_path, "--seeds", "0,1", "--json", "--check")) == 0
    printed = capsys.readouterr().out
    results, about = from_json(printed)
    assert [(r.row, r.seed) for r in results] == [("input", 0), ("unsharp", 0), ("input", 1), ("unsharp", 1)]
    before, sharpened = results[0].figures, results[1].figures
    assert before.worst_change == 0 and before.sharp_psnr == float("inf") and before.flicker_ratio == 1
    assert sharpened.worst_change == -float("inf")  # an unsharp mask harms sharp frames, and the table says so
    assert sharpened.sharp_touched > 0 and sharpened.harmed > 0 and sharpened.sharpness > before.sharpness
    assert len(about["clips"]) == 2 and about["clips"][0]["frames"] == 6 and about["clips"][0]["size"] == [128, 96]
    assert about["revision"] and about["engine"]["mark"] and about["machine"]["cpu"] and about["packages"]["numpy"]
    assert about["protocol"]["windows"] == [1, 1, 3, 5]
    assert json.loads((tmp_path / "work" / "table.json").read_text()) == json.loads(printed)
    text = (tmp_path / "work" / "table.md").read_text()
    assert text.count("| pan | input |") == 1 and "unsharp mask" in text
    sheets = list((tmp_path / "work").glob("pan-seed*/sheet.png"))
    assert len(sheets) == 2 and cv2.imread(str(sheets[0])).shape[1] == 3 * CROP[0]


def test_what_is_finished_is_not_done_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = CALLS

    def halved(bench):  # type: ignore[no-untyped-def]
        CALLS.append("made")
        return Made({i: (picture // 2).astype(np.uint8) for i, picture in enumerate(bench.clip.blurry)}, notes={"n": 1})

    def measure(*given, **named):  # type: ignore[no-untyped-def]
        CALLS.append("measured")
        return measured(*given, **named)

    measured = command.measure
    monkeypatch.setattr(command, "measure", measure)
    monkeypatch.setitem(ROWS, "unsharp", Row("halved", halved, engine=False))
    given = arguments(source, tmp_path, "--no-sheets", "--json")

    def run(*more: str) -> str:
        calls.clear()
        command.main([*given, *more])
        return json.dumps(json.loads(capsys.readouterr().out)["results"])

    first = run()
    assert calls == ["measured", "made", "measured"]  # the input's row has nothing to make
    assert run() == first and calls == []
    run("--align", "none")
    assert calls == ["measured", "measured"]  # other measures, of the pictures that are kept
    assert run() == first and calls == ["measured", "measured"]
    run("--fresh")
    assert calls == ["measured", "made", "measured"]
    run("--stride", "2")
    assert "made" in calls  # another clip
    for note in (tmp_path / "work").glob("pan-seed0-*/rows/unsharp.json"):
        note.write_text('{"mark": ')  # damaged
    run()
    assert "made" in calls
    monkeypatch.setitem(ROWS, "unsharp", Row("doubled", lambda bench: Made(dict(enumerate(bench.clip.blurry)))))
    assert run() != first


def test_marks_tell_made_functions_apart_and_are_the_same_next_time() -> None:
    marks = {name: store.row_mark(row.make, row.engine, None) for name, row in ROWS.items()}
    assert len(set(marks.values())) == len(marks)
    # Nothing in them is of this process: an address would make every run begin anew.
    assert not any("0x" in repr(store.told(row.make)) for row in ROWS.values())


def test_code_is_what_it_does_and_not_how_it_is_told(tmp_path: Path) -> None:
    def of(text: str) -> str:
        path = tmp_path / f"m{len(list(tmp_path.iterdir()))}.py"
        path.write_text(text)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return store.code_of(module)

    first = of('"""One."""\ndef f(x):\n    """Two."""\n    return x + 1\n')
    assert first == of('"""Other."""\n# why\ndef f(x):\n    """Words."""\n    return (x + 1)\n')
    assert first != of('"""One."""\ndef f(x):\n    """Two."""\n    return x + 2\n')


def test_a_row_that_cannot_be_made_is_listed_with_the_reason(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(bench):  # type: ignore[no-untyped-def]
        raise NotAvailable("no weights")

    monkeypatch.setitem(ROWS, "unsharp", Row("refused", refuse))
    assert command.main(arguments(source, tmp_path, "--no-sheets")) == 0
    assert "refused: not available: no weights" in capsys.readouterr().out


def test_frames_made_elsewhere_are_a_row_and_get_a_table_of_their_own(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, external = tmp_path / "pairs", f"other={tmp_path}/made/{{clip}}-{{seed}}"
    command.main(arguments(source, tmp_path, "--no-sheets", "--write-pairs", str(pairs), "--external", external))
    assert "other: not available" in capsys.readouterr().out
    folder = tmp_path / "made" / "pan-0"
    folder.mkdir(parents=True)
    truths = sorted((pairs / "pan-0" / "sharp").iterdir())
    for path in truths[:2]:  # two perfect frames of six
        write_png(cv2.imread(str(path))[..., ::-1], folder / f"{path.stem}.png")
    command.main(arguments(source, tmp_path, "--external", external))
    text = capsys.readouterr().out
    assert "On the 2 frames of other only:" in text
    assert text.count("| pan | other |") == 1 and "| pan | other |" in text.partition("On the 2 frames")[2]
    # The other way round: what was written is a clip of its own.
    command.main(["--clips", str(pairs), "--rows", "input", "--work", str(tmp_path / "work"), "--no-sheets"])
    assert "| pan-0 | input |" in capsys.readouterr().out


@pytest.mark.parametrize("way", ["tests/bench/quality", "tests.bench.quality"])
def test_it_runs_as_a_folder_and_as_a_module(
    way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["quality", "--help"])
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    with pytest.raises(SystemExit) as stop:
        if way.startswith("tests/"):
            runpy.run_path(str(ROOT / way), run_name="__main__")
        else:
            runpy.run_module(way, run_name="__main__")
    assert stop.value.code == 0 and "--external" in capsys.readouterr().out


def test_a_quick_run_plays_all_cheap_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--quick", "--frames", "9", "--side", "128", "--threads", "1", "--work", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for label in ("input", "unsharp mask", "Richardson-Lucy", "Fourier burst", "plain blend", "warm start, frozen"):
        assert text.count(f"| demo | {label} |") == 1
    assert "not available" not in text


def test_the_crop_lies_where_the_error_is() -> None:
    truth = np.zeros((480, 640, 3), np.uint8)
    picture = truth.copy()
    picture[300:400, 500:600] = 200
    y, x = place_of_most_error(truth, picture)
    assert y <= 300 and y + CROP[1] >= 400 and x <= 500 and x + CROP[0] >= 600


def test_the_crop_of_a_small_picture_is_all_of_it(texture: Bytes) -> None:
    assert place_of_most_error(texture, texture[::-1]) == (0, 0)


def test_the_sheet_shows_each_chosen_frame_once(texture: Bytes, tmp_path: Path) -> None:
    soft = [cv2.GaussianBlur(texture, (0, 0), sigma) for sigma in (3.0, 1.0, 2.0)]
    clip = Clip("c", [*soft, texture], [texture] * 4, [3, 3, 3, 1])
    rows = {"input": dict(enumerate(clip.blurry)), "better": {0: soft[1], 1: texture, 2: soft[2], 3: texture}}
    contact_sheet(clip, rows, "better", tmp_path / "sheet.png")
    # Frame 0 is the blurriest, 2 the median, 1 the best changed one, and one of 0 and 1 the worst: three blocks of one
    # line of cells (input, better, truth); 2 was not touched.
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[:2] == (3 * (CROP[1] + 20 + 4), 3 * CROP[0])
