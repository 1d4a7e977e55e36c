"""Atomic files, registries and metric logs."""

import pytest

from wbvla.core.errors import ConfigError, UnknownName
from wbvla.core.files import replaced, write_bytes
from wbvla.core.metrics import MetricLog, read_metrics
from wbvla.core.registry import Registry


def test_an_interrupted_write_leaves_the_old_file_and_no_debris(tmp_path):
    path = tmp_path / "f"
    write_bytes(path, b"old")

    def interrupted_write():
        with replaced(path) as aside:
            aside.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_write()
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


def test_registry_refuses_duplicates_and_suggests():
    registry: Registry[int] = Registry("robot")
    registry.register("agibot_x2")(lambda: 7)
    assert registry.build("agibot_x2") == 7
    with pytest.raises(ConfigError, match="already"):
        registry.register("agibot_x2")(lambda: 8)
    with pytest.raises(UnknownName, match="Did you mean 'agibot_x2'"):
        registry.build("agibot-x2")


def test_metric_log_survives_a_torn_line_and_drops_what_is_redone(tmp_path):
    path = tmp_path / "m.jsonl"
    log = MetricLog(path)
    for step in range(5):
        log.write({"step": step})
    log.close()
    path.write_text(path.read_text() + '{"step": 5, "lo')
    assert [r["step"] for r in read_metrics(path)] == [0, 1, 2, 3, 4]
    MetricLog(path, keep_below_step=3).close()
    assert [r["step"] for r in read_metrics(path)] == [0, 1, 2]
