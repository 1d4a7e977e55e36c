"""`wbvla train` and `wbvla label` as a user types them."""

import sys
from pathlib import Path

import pytest

from wbvla.cli import train as verb
from wbvla.cli.main import main
from wbvla.core.errors import UnknownName
from wbvla.core.metrics import read_metrics
from wbvla.data.reader import Dataset
from wbvla.recipes.catalogue import load_recipe, names

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lam"))
from lam_clips import record


@pytest.mark.parametrize("name", names())
def test_every_recipe_can_be_overridden_field_by_field(name):
    options, config = verb.parse(name, ["--folder", "there", "--data", "a", "b"])
    assert config == load_recipe(name)
    assert (options.folder, options.data) == (Path("there"), (Path("a"), Path("b")))


def test_train_then_label_through_the_command_line(tmp_path, capsys):
    data = record(tmp_path / "data", episodes=4, frames=12)
    size = ["--model.height", "16", "--model.width", "16", "--loop.batch-size", "8"]
    size += ["--model.quantizer.warmup-batches", "0"]
    run = ["train", "tiny-lam-locomotion", "--folder", str(tmp_path / "run"), "--data", str(data), "--loop.steps", "2"]
    assert main([*run, *size]) == 0
    assert read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == 2
    lam = str(tmp_path / "run" / "lam")
    assert main(["label", lam, str(data)]) == 1
    assert "may not label data" in capsys.readouterr().err
    assert main(["label", lam, str(data), "--force"]) == 0
    assert Dataset(data).columns(0, ["latent.locomotion"])["latent.locomotion"].shape == (12, 4)


def test_what_is_missing_is_said(capsys):
    assert main(["train"]) == 2
    assert "tiny-lam-locomotion" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert main(["train", "tiny-lam-locomotion"]) == 1
    assert "--data" in capsys.readouterr().err
    assert main(["train", "tiny-vla-finetune", "--data", "x"]) == 1
    assert "--start" in capsys.readouterr().err
    with pytest.raises(UnknownName, match="Did you mean 'tiny-lam-locomotion'"):
        load_recipe("tiny-lam-locomotin")
