"""`wbvla data export`: a whole folder and one line of what was done, or a refusal that leaves nothing."""

import json

import numpy as np
import pytest

from wbvla.cli.data import main
from wbvla.core.errors import DataError
from wbvla.data.format import scalar, vector, video
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetConfig, DatasetWriter


@pytest.fixture
def root(tmp_path):
    features = {"observation.images.head": video(16, 16), "action": vector(["s_x", "s_y"]), "ok": scalar("bool")}
    config = DatasetConfig(fps=5, robot="r", features=features)
    with DatasetWriter.create(tmp_path / "d", config) as writer, writer.episode(task="go") as episode:
        for i in range(3):
            grey = np.full((16, 16, 3), 40 * i, np.uint8)
            episode.add({"observation.images.head": grey, "action": np.array([i, -i]), "ok": i > 0})
        episode.commit()
    return tmp_path / "d"


@pytest.mark.parametrize(("kind", "extra"), [("v2.1", set()), ("gr00t", {"modality.json", "stats.json"})])
def test_export(root, tmp_path, capsys, kind, extra):
    assert main(["export", str(root), str(tmp_path / "out"), "--format", kind]) == 0
    assert "1 copied, 0 cut undecoded, 0 encoded anew" in capsys.readouterr().out
    names = {p.name for p in (tmp_path / "out/meta").iterdir()}
    assert names == {"info.json", "episodes.jsonl", "episodes_stats.jsonl", "tasks.jsonl"} | extra
    assert json.loads((tmp_path / "out/meta/info.json").read_text())["codebase_version"] == "v2.1"
    assert Dataset(tmp_path / "out").columns(0)["action"][:, 1].tolist() == [0.0, -1.0, -2.0]


def test_an_existing_folder_is_refused(root, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="exists already"):
        main(["export", str(root), str(tmp_path / "out")])
    assert not list((tmp_path / "out").iterdir())
