"""Latent codes written back: every episode or none, with the model's digest, and nothing else touched."""

import numpy as np
import pytest
from recording import CONFIG, make_dataset, record, require_episode

from wbvla.core.errors import ContractMismatch, DataError
from wbvla.data.format import scalar, vector
from wbvla.data.labels import require_labels, write_labels
from wbvla.data.reader import Dataset
from wbvla.data.writer import DatasetWriter

NAME = "latent.locomotion"
FEATURES = {NAME: vector(["token_0", "token_1"], "int64")}


def codes(lengths, offset=0):
    return [{NAME: np.arange(n * 2).reshape(n, 2) + offset + 100 * i} for i, n in enumerate(lengths)]


def test_labels_are_columns_with_a_source(tmp_path):
    root = make_dataset(tmp_path / "d", [3, 4])
    before = Dataset(root)
    old_digest = before.digest
    write_labels(root, FEATURES, codes([3, 4]), {"digest": "abc", "gap_s": 0.7})
    data = Dataset(root)
    np.testing.assert_array_equal(data.columns(1)[NAME], codes([3, 4])[1][NAME])
    require_episode(data, 1, 4)
    assert data.labels[NAME] == {"digest": "abc", "gap_s": 0.7}
    assert data.digest != old_digest
    require_labels(data, [NAME], "abc")
    with pytest.raises(ContractMismatch, match="another"):
        require_labels(data, [NAME], "another")
    with pytest.raises(ContractMismatch):
        require_labels(before, ["latent.manipulation"], "abc")


def test_a_second_model_replaces_the_first(tmp_path):
    root = make_dataset(tmp_path / "d", [3])
    write_labels(root, FEATURES, codes([3]), {"digest": "one"})
    write_labels(root, FEATURES, codes([3], offset=7), {"digest": "two"})
    data = Dataset(root)
    assert data.columns(0)[NAME][0, 0] == 7
    assert data.labels[NAME]["digest"] == "two"


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (FEATURES, codes([3, 5]), "episode 1 has 4 frames"),
        (FEATURES, codes([3]), "end after 1"),
        (FEATURES, codes([3, 4, 2]), "go on after"),
        (FEATURES, [{"other": np.zeros((3, 2), int)}] * 2, "declared"),
        (FEATURES, [{NAME: np.zeros((n, 2))} for n in (3, 4)], "declared int64"),
        ({"action": scalar("int64")}, [], "recorded, not labelled"),
    ],
)
def test_labels_that_do_not_fit_change_nothing(tmp_path, features, labels, message):
    root = make_dataset(tmp_path / "d", [3, 4])
    digest = Dataset(root).digest
    with pytest.raises(DataError, match=message):
        write_labels(root, features, labels, {"digest": "abc"})
    assert Dataset(root).digest == digest
    assert [p.name for p in (root / ".staging").iterdir()] == ["lock"]


def test_a_labelled_dataset_resumes_but_takes_no_unlabelled_episode(tmp_path):
    root = make_dataset(tmp_path / "d", [3])
    write_labels(root, FEATURES, codes([3]), {"digest": "abc"})
    with DatasetWriter.resume(root, CONFIG) as writer, pytest.raises(DataError, match=NAME):
        record(writer, 2)
    assert Dataset(root).num_episodes == 1


def test_labels_need_a_digest(tmp_path):
    with pytest.raises(DataError, match="digest"):
        write_labels(make_dataset(tmp_path / "d", [1]), FEATURES, codes([1]), {})
