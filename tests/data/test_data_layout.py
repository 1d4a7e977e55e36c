"""Names and templates from files: whatever they say, nothing outside the dataset is reached."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wbvla.core.errors import DataError
from wbvla.data import layout
from wbvla.data.format import DATA_PATH, LEGACY_DATA_PATH, LEGACY_VIDEO_PATH, VIDEO_PATH
from wbvla.data.layout import check_template, inside, read_json, read_json_lines

PIECES = st.sampled_from(
    ["..", ".", "/", "a", "{f}", "{f:03d}", "{f!r}", "{g}", "{f.x}", "{f[0]}", "{", "}", "\0", "\\"]
)


def test_the_usual_templates_are_taken():
    rolling, old = ("chunk_index", "file_index"), ("episode_chunk", "episode_index")
    for template, fields in ((DATA_PATH, rolling), (LEGACY_DATA_PATH, old)):
        assert check_template(template, fields, "data_path") == template
    for template, fields in ((VIDEO_PATH, rolling), (LEGACY_VIDEO_PATH, old)):
        assert check_template(template, (*fields, "video_key"), "video_path") == template
        with pytest.raises(DataError, match="video_key"):
            check_template(template, fields, "video_path")


@given(template=st.one_of(st.lists(PIECES, max_size=6).map("".join), st.text(max_size=30)))
def test_any_accepted_template_stays_inside(template, tmp_path_factory):
    try:
        check_template(template, ("f",), "data_path")
    except DataError:
        return
    name = template.format(f=7)
    root = tmp_path_factory.getbasetemp()
    assert (root / name).resolve().is_relative_to(root.resolve())
    assert len(name) < 2 * layout.MAX_PATH


@pytest.mark.parametrize("name", ["", "/etc/passwd", "..", "a/../../b", "a\0b", "c:\\x", "C:/x", "x" * 2000])
def test_names_that_leave_are_refused(name):
    with pytest.raises(DataError, match="outside the dataset"):
        inside(name)
    assert inside("data/chunk-000/file-000.parquet") == "data/chunk-000/file-000.parquet"


def test_json_is_bounded_and_deep_nesting_is_no_crash(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("[" * 200_000)
    with pytest.raises(DataError, match="not JSON"):
        read_json(path)
    with pytest.raises(DataError, match="line 1"):
        read_json_lines(path)
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert read_json_lines(path) == [{"a": 1}, {"a": 2}]
    monkeypatch.setattr(layout, "MAX_JSON_BYTES", 4)
    for read in (read_json, read_json_lines):
        with pytest.raises(DataError, match="more than 4"):
            read(path)
