"""The page: every camera, channel, word, figure and fault is on it; nothing is loaded, no word is obeyed."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from looking import ACTION, DEPTH, FPS, HAND, HEAD, LENGTHS, SECOND, STATE, write_recording
from PIL import Image
from recording import make_dataset

from wbvla.core.errors import ConfigError, DataError
from wbvla.data import plots
from wbvla.data.check import check
from wbvla.data.reader import Dataset
from wbvla.data.summary import describe_summary, hours, summarize_dataset
from wbvla.data.view import SheetConfig, colour_depth, depth_range, groups, quantity, render, spaced

VOID = {"meta", "img", "br"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_recording(tmp_path_factory.mktemp("view") / "boxes")


@pytest.fixture(scope="module")
def page(data: Dataset) -> str:
    return render(data, SheetConfig(), check(data.root, hashes=False))


class Outline(HTMLParser):
    """Tags in order; says when one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    assert not parser.open
    return parser


def test_page_is_whole_and_loads_nothing(page: str) -> None:
    tags = outline(page).seen
    assert not [t for t, _ in tags if t in ("script", "link", "iframe", "object", "b2")]
    for tag, attributes in tags:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert (value or "").startswith("data:image/"), (tag, value)
    assert "@import" not in page
    assert "url(" not in page


def test_words_of_the_dataset_stay_words(page: str) -> None:
    """An instruction with markup in it is shown, not obeyed."""
    assert "lift the &lt;b&gt;box&lt;/b&gt; &amp; hold it" in page
    assert "lift the <b>" not in page
    assert "reach &lt;it&gt;" in page
    assert "reach <it>" not in page
    assert "instructed_by: &lt;operator&gt;" in page


def test_every_camera_and_channel_is_shown(page: str, data: Dataset) -> None:
    for name in ("head", "left_hand", "head_depth"):
        assert f"<tr><th>{name}<small>" in page
    for name in (STATE, ACTION):
        for channel in data.features[name].names or ():
            assert f"<title>{channel}</title>" in page
    for word in (
        "raise the box",
        SECOND,
        "go</td>",
        "turn</td>",
        "goal yes",
        "1 reached, 1 missed, 1 unknown",
        "sound",
    ):
        assert word in page, word
    assert "observation.state <small>float32 5, 39 frames</small>" in page


def test_pictures_on_the_page_are_the_frames(page: str, data: Dataset) -> None:
    """In the order of time, at the frames their headings name."""
    row = page.split("<tr><th>head<small>")[1].split("</tr>")[0]
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))) for code in re.findall(r"base64,([^\"]+)", row)
    ]
    numbers = [int(n) for n in re.findall(r"frame (\d+)</small>", page.split('class="sheet"')[1])]
    assert numbers == spaced(LENGTHS[0], 8)
    recorded = data.frames(HEAD, 0, numbers)
    assert len(pictures) == len(numbers) == 8
    for shown, truth in zip(pictures, recorded):
        assert np.abs(shown.astype(int).mean() - truth.astype(int).mean()) < 3


def test_another_episode_is_shown_on_request(data: Dataset) -> None:
    page = render(data, SheetConfig(episode=1, others=0))
    assert f"&ldquo;{SECOND}&rdquo;" in page
    assert "goal no" in page
    assert 'class="strips"' not in page
    assert "not checked" in page
    with pytest.raises(DataError, match="episode 9"):
        render(data, SheetConfig(episode=9))
    with pytest.raises(ConfigError):
        SheetConfig(frames=0)


def test_faults_are_named_on_the_page(tmp_path: Path) -> None:
    root = make_dataset(tmp_path / "d", [4, 5])
    (root / "videos" / HAND / "chunk-000" / "file-001.mp4").write_bytes(b"")
    faults = check(root, hashes=False)
    page = render(Dataset(root), SheetConfig(others=0), faults)
    outline(page)
    assert "<h2>Faults</h2>" in page
    assert f"<b>{faults[0].kind}</b>" in page
    assert f"{len(faults)} fault" in page


def test_depth_is_coloured_from_near_to_far_and_black_where_nothing_came_back(data: Dataset) -> None:
    (millimetres,) = data.depth(DEPTH, 0, [3])
    low, high = depth_range(millimetres[None])
    rgb = colour_depth(millimetres, low, high)
    assert rgb.shape == (32, 48, 3)
    assert (rgb[:4] == 0).all()
    assert rgb[10, 2, 2] > rgb[10, 2, 0], "near is blue"
    assert rgb[10, 44, 0] > rgb[10, 44, 2], "far is red"
    assert depth_range(np.zeros((1, 2, 2), np.uint16)) == (0.0, 1.0)


def test_channels_share_charts_by_what_they_measure() -> None:
    assert quantity("left_knee_joint.q_rad") == "q [rad]"
    assert quantity("left_hand.x_m") == "x [m]"
    assert quantity("gyro_z.radps") == "gyro [rad/s]"
    assert quantity("gravity_z") == "gravity"
    assert quantity("s_psi") == "flags"
    many = [f"{side}_{i}_joint.q_rad" for side in ("left", "right") for i in range(10)] + ["gravity_x", "gravity_y"]
    found = groups(many)
    assert [label for label, _ in found] == [
        "q [rad] left",
        "q [rad] left",
        "q [rad] right",
        "q [rad] right",
        "gravity",
    ]
    assert sorted(i for _, members in found for i in members) == list(range(22))
    assert groups(["a", "b", "c"]) == [("", [0, 1, 2])]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_names_are_charted_once_each_in_small_charts(names: list[str]) -> None:
    found = groups(names)
    assert sorted(i for _, members in found for i in members) == list(range(len(names)))
    assert max(len(members) for _, members in found) <= 8


@given(st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1, max_size=30), st.floats(0.1, 100))
@settings(max_examples=60, deadline=None)
def test_any_numbers_are_drawn(values: list[float], seconds: float) -> None:
    """NaN and infinity too: such a dataset is what one wants to look at."""
    svg = plots.curves(np.array(values)[:, None], ["<x>"], seconds)
    outline(svg)
    assert "nan" not in svg
    assert "inf" not in svg


def test_thinning_keeps_spikes() -> None:
    values = np.sin(np.linspace(0, 60, 20_000))
    values[12_345] = 50.0
    at, kept = plots.thin(values)
    assert len(at) <= plots.MAX_POINTS
    assert kept.max() == 50.0
    assert at[int(kept.argmax())] == 12_345
    assert (np.diff(at) > 0).all()


def test_summary_counts_hours_and_outcomes(data: Dataset) -> None:
    summary = summarize_dataset(data)
    assert (summary.episodes, summary.frames, summary.fps) == (3, 39, FPS)
    assert {c.name: (c.episodes, round(c.seconds * FPS)) for c in summary.tasks} == {
        data.tasks[0]: (2, 32),
        SECOND: (1, 7),
    }
    assert [(c.name, c.episodes, round(c.seconds * FPS)) for c in summary.primitives] == [
        ("go", 3, 15),
        ("turn", 3, 12),
        ("stop", 2, 7),
        ("primitive 3", 1, 5),
    ]
    assert summary.outcomes == {"yes": 1, "no": 1, "unknown": 1}
    assert (summary.version, summary.depths) == ("v3.0", (DEPTH,))
    assert summary.layout.startswith("a file per episode")
    lines = describe_summary(summary)
    assert "3 episodes, 39 frames at 10 Hz" in lines[0]
    assert "goal reached: yes 1, no 1, unknown 1" in lines


def test_lengths_of_time_in_words() -> None:
    assert [hours(s) for s in (30.0, 300.0, 36_000.0)] == ["30 s", "5.0 min", "10.0 h"]


@given(st.integers(1, 500), st.integers(1, 20))
def test_spaced_numbers_hold_both_ends(length: int, count: int) -> None:
    numbers = spaced(length, count)
    assert numbers[0] == 0
    assert len(numbers) == min(length, count)
    assert count == 1 or numbers[-1] == length - 1
