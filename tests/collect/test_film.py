"""Filming with recorded cameras: clips and counts, drops, stalls, unplugging, a stopped encoder, SIGKILL, consent."""

import io
import itertools
import json
import multiprocessing
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from footage import barcode, camera, footage, numbers_in
from PIL import Image

from wbvla.collect.cameras.recorded import DROP, STALL, UNPLUG, Trouble, write_script
from wbvla.collect.ego.walker import PRIMITIVES
from wbvla.collect.filming import FilmConfig, Filming
from wbvla.collect.live.recorder import LiveConfig
from wbvla.collect.operator import Operator
from wbvla.collect.preview import Preview
from wbvla.collect.prompts import TARGETS, Consent, Tallies, number_of
from wbvla.core.errors import CameraError, ConfigError, DataError, UnknownName
from wbvla.data.check import check
from wbvla.data.features import IMAGE, PRIMITIVE, STAMPS
from wbvla.data.reader import Dataset

CONSENT = Consent(given_by="A. Name", at="2026-01-01T00:00:00+00:00")
HEAD = IMAGE + "head"


def wait_for(filming: Filming, limit_s: float = 60.0) -> dict:
    """What came of the clip that is open."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if (news := filming.poll(0.1)) is not None:
            return news
    raise AssertionError("the clip does not end")


def await_frames(filming: Filming, count: int) -> None:
    """Let the camera deliver so many more frames."""
    status, until = filming.recorder.statuses["head"], time.monotonic() + 60
    goal = status.get("captured") + count
    while status.get("captured") < goal:
        assert time.monotonic() < until
        time.sleep(0.02)


def film_clips(filming: Filming, primitive: str, count: int) -> list[dict]:
    made = []
    for _ in range(count):
        filming.begin(primitive)
        made.append(wait_for(filming))
    return made


def require_true_clip(data: Dataset, episode: int) -> list[int]:
    """Pixels, the device's numbers and stamps of a clip agree; returns the numbers of its frames."""
    length, truth = data.episodes[episode].length, data.truth(episode)
    shown = numbers_in(data.frames(HEAD, episode, range(length)))
    assert shown == (truth["head_sequence"] % 1000).tolist()
    stamps = data.columns(episode, [STAMPS])[STAMPS].reshape(length, -1)
    steps = np.diff(truth["head_sequence"])
    np.testing.assert_allclose(np.diff(stamps[:, 0]), steps / 30.0, atol=1e-6)  # the device's spacing, gaps too
    assert (truth["head_host_s"] >= stamps[:, 0] - 1e-9).all(), "a frame cannot arrive before it was taken"
    return truth["head_sequence"].tolist()


def test_clips_are_exact_and_counts_are_resumed(tmp_path: Path) -> None:
    """Frames, depth, motion, stamps, words, consent; a lost frame is counted; the counts come back."""
    drop = tuple(Trouble(kind=DROP, at=at, frames=2) for at in range(40, 4000, 40))
    config = FilmConfig(camera=camera(footage(tmp_path / "f", depth=True, troubles=drop), depth=True, motion=True),
                        seconds=1.5, operator="B. Name")  # fmt: skip
    with Filming(tmp_path / "d", config, CONSENT) as filming:
        with pytest.raises(DataError, match="begin one first"):
            filming.end()
        news = film_clips(filming, "squat_down", 2)
        filming.begin("turn_left")
        with pytest.raises(DataError, match="end or discard it first"):
            filming.begin("turn_left")
        time.sleep(0.3)
        assert filming.discard()["kind"] == "discarded"
        assert filming.tallies.clips["squat_down"] == 2
    assert [n["kind"] for n in news] == ["committed", "committed"]
    assert check(tmp_path / "d", deep=True) == []
    data = Dataset(tmp_path / "d")
    assert data.num_episodes == 2
    for episode in range(2):
        numbers, truth, notes = require_true_clip(data, episode), data.truth(episode), data.notes(episode)
        gaps = sum(b - a - 1 for a, b in itertools.pairwise(numbers))
        assert len(numbers) == 45
        assert gaps >= 2
        assert news[episode]["counts"]["dropped"]["head"]["device"] >= gaps
        assert notes["recorder"]["dropped"]["head"]["no_room"] == 0
        assert notes["consent"]["given_by"] == "A. Name"
        assert "B. Name" in notes["instructed_by"]
        assert (data.columns(episode, [PRIMITIVE])[PRIMITIVE] == PRIMITIVES.index("squat_down")).all()
        assert 1.2 < np.ptp(truth["head_accel_s"]) < 2.5
        np.testing.assert_allclose(truth["head_accel_mps2"].mean(0), [0.0, -9.81, 0.0])
        depth = data.depth(HEAD + "_depth", episode, range(45))
        np.testing.assert_array_equal(depth[:, 3, 5], 1000 + np.array(numbers) % 1000)
    again = Tallies(tmp_path / "d")
    assert again.clips == filming.tallies.clips
    assert again.hours == pytest.approx(2 * 1.5 / 3600)
    assert again.left("squat_down") == TARGETS["squat_down"] - 2
    assert data.instruction(0) == "squat down"


def test_a_camera_that_stalls_and_is_unplugged(tmp_path: Path) -> None:
    """A short stall is a counted gap; a long one and an unplugged camera lose the clip in progress and no other."""
    folder = footage(tmp_path / "f")
    with Filming(tmp_path / "d", FilmConfig(camera=camera(folder), seconds=0.0), CONSENT) as filming:
        status, until = filming.recorder.statuses["head"], time.monotonic() + 120
        await_frames(filming, 1)
        filming.begin("advance")
        await_frames(filming, 30)
        write_script(folder, [Trouble(kind=STALL, at=status.get("captured") + 30, frames=3)])
        await_frames(filming, 70)
        first = filming.end()
        filming.begin("advance")
        write_script(folder, [Trouble(kind=UNPLUG, at=status.get("captured") + 30, frames=40)])
        while not status.get("losses") and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)
        lost = filming.end()
        while filming.status()["camera"]["state"] != "streaming" and time.monotonic() < until:
            time.sleep(0.05)
        filming.begin("advance")
        await_frames(filming, 20)
        last = filming.end()
    assert first["kind"] == "committed", first
    assert first["counts"]["dropped"]["head"]["device"] == 3
    assert lost["kind"] == "refused"
    assert "unplugged" in lost["text"]
    assert last["kind"] == "committed", last
    assert check(tmp_path / "d", deep=True) == []
    data = Dataset(tmp_path / "d")
    assert data.num_episodes == 2
    numbers = require_true_clip(data, 0)
    assert numbers[-1] - numbers[0] + 1 - len(numbers) == 3
    assert data.truth(1)["head_sequence"][0] < numbers[-1], "opened again, the device counts anew"


def test_what_there_is_no_room_for_is_dropped_and_counted(tmp_path: Path) -> None:
    """The encoder is stopped for a while: the camera goes on, the clip has a gap of exactly the frames counted."""
    config = FilmConfig(camera=camera(footage(tmp_path / "f")), seconds=0.0)
    with Filming(tmp_path / "d", config, CONSENT, LiveConfig(slots=4)) as filming:
        encoder, status = filming.recorder.pids["encoder head"], filming.recorder.statuses["head"]
        niceness = {name: os.getpriority(os.PRIO_PROCESS, pid) for name, pid in filming.recorder.pids.items()}
        camera_niceness = niceness.pop("camera head")
        assert set(niceness.values()) == {min(camera_niceness + 10, 19)}, "encoder and writer stand back"
        filming.begin("advance")
        await_frames(filming, 60)
        os.kill(encoder, signal.SIGSTOP)
        full = status.get("full")
        while status.get("full") < full + 5:
            time.sleep(0.01)
        os.kill(encoder, signal.SIGCONT)
        await_frames(filming, 60)
        news = filming.end()
    assert news["kind"] == "committed", news
    dropped = news["counts"]["dropped"]["head"]
    numbers = require_true_clip(Dataset(tmp_path / "d"), 0)
    assert dropped["no_room"] >= 5
    assert dropped["device"] == 0
    assert numbers[-1] - numbers[0] + 1 - len(numbers) == dropped["no_room"]
    assert check(tmp_path / "d", deep=True) == []


def film_until_killed(folder: Path, out: Path) -> None:
    """A process that films until it is killed."""
    with Filming(out, FilmConfig(camera=camera(folder), seconds=0.5), CONSENT) as filming:
        (out.parent / "pids.json").write_text(json.dumps(filming.recorder.pids))
        while True:
            film_clips(filming, "advance", 1)


@pytest.mark.parametrize("whom", ["main", "writer", "camera head"])
def test_a_kill_leaves_every_finished_clip_valid(tmp_path: Path, whom: str) -> None:
    folder, out = footage(tmp_path / "f"), tmp_path / "d"
    process = multiprocessing.get_context("spawn").Process(target=film_until_killed, args=(folder, out))
    process.start()
    until = time.monotonic() + 120
    while len(list(out.glob("meta/episodes/**/*.parquet"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.25)
    pids = json.loads((tmp_path / "pids.json").read_text())
    finished = json.loads((out / "meta/info.json").read_text())["total_episodes"]
    os.kill(process.pid if whom == "main" else pids[whom], signal.SIGKILL)  # pyright: ignore[reportArgumentType]
    process.join(60)
    assert process.exitcode != 0, "a dead part is an error, or the whole was killed"
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
              for pid in pids.values()) and time.monotonic() < until:  # fmt: skip
        time.sleep(0.05)
    with Filming(out, FilmConfig(camera=camera(folder), seconds=0.5), CONSENT) as filming:  # recovers
        assert filming.recorder.num_episodes >= finished >= 2
        assert filming.tallies.clips["advance"] == filming.recorder.num_episodes
        assert film_clips(filming, "advance", 1)[0]["kind"] == "committed"
    assert check(out, deep=True) == []


class Script:
    """Keys of an operator, with the clips' ends waited for."""

    def __init__(self, filming: Filming) -> None:
        self.said: list[str] = []
        self.operator, self._filming = Operator(filming, self.said.append), filming

    def press(self, key: str) -> None:
        self.operator.step(key)

    def wait(self, words: str) -> None:
        until = time.monotonic() + 15
        while not any(words in text for text in self.said) and time.monotonic() < until:
            self.operator.step("")
            time.sleep(0.02)
        assert any(words in text for text in self.said), self.said


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Filming, Path]]:
    folder = tmp_path_factory.mktemp("room")
    config = FilmConfig(camera=camera(footage(folder / "f")), seconds=0.6)
    with Filming(folder / "d", config, CONSENT) as filming:
        yield filming, folder / "d"


def test_the_operator_is_led_through_the_primitives(room: tuple[Filming, Path]) -> None:
    filming, _ = room
    script = Script(filming)
    assert script.operator.primitive == "advance"
    for key in ("n", "n", " "):
        script.press(key)
    assert filming.status()["recording"] == "turn_right"
    assert "● turn_right" in script.operator.line()
    script.wait("kept: 18 frames")
    script.press(" ")
    script.press("d")
    script.wait("clip discarded")
    script.press("a")
    assert script.operator.primitive == "advance", "the one that lacks most"
    script.press("c")
    assert any("turn_right         1 of  400" in text for text in script.said)
    assert f"{TARGETS['advance']} left" in script.operator.line()
    script.press("q")
    assert script.operator.is_over


def test_the_preview_is_for_loopback_and_only_to_look_at(room: tuple[Filming, Path]) -> None:
    filming, _ = room
    with Preview(filming.picture, filming.status) as preview:
        page = urllib.request.urlopen(preview.url, timeout=20)
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert b"frame.jpg" in page.read()
        status = json.loads(urllib.request.urlopen(preview.url + "status.json", timeout=20).read())
        assert status["camera"]["state"] == "streaming"
        assert set(status["clips"]) == set(PRIMITIVES)
        shown = Image.open(io.BytesIO(urllib.request.urlopen(preview.url + "frame.jpg", timeout=20).read()))
        number = numbers_in(np.asarray(shown)[None])[0]
        assert np.abs(np.asarray(shown).astype(int) - barcode(number)).mean() < 12, "a frame of the footage"
        foreign = urllib.request.Request(preview.url, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(foreign, timeout=20)


def test_a_second_recorder_of_the_same_dataset_is_refused(room: tuple[Filming, Path]) -> None:
    filming, out = room
    with pytest.raises(DataError, match="another process"):
        Filming(out, filming.config, CONSENT)


@pytest.mark.parametrize("answer", ["", "no", "None", "yes"])
def test_without_consent_nothing_is_recorded(answer: str) -> None:
    with pytest.raises(ConfigError, match="consent"):
        Consent.ask(answer)
    assert Consent.ask(" A. Name ").notes()["given_by"] == "A. Name"


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no footage"):
        Filming(tmp_path / "d", FilmConfig(camera=camera(tmp_path / "nothing")), CONSENT)
    assert not (tmp_path / "d/meta/info.json").exists()
    with pytest.raises(UnknownName, match="advance"):
        number_of("fly")
