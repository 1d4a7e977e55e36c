"""Artefacts: whole or absent, verified, and refused with the difference named."""

import subprocess
import sys

import pytest

from wbvla.core.contract import Contract, open_artefact, require_match, write_artefact
from wbvla.core.errors import ArtefactError, ContractMismatch

CONTRACT = Contract(kind="lmo", robot="agibot_x2", joint_names=("a", "b"), rate_hz=50.0, details={"gain": 0.1 + 0.2})


def write(folder):
    return write_artefact(folder, CONTRACT, {"seed": 1}, "# card\n", {"model.bin": b"\x00\x01"})


def test_round_trip_keeps_floats_in_full(tmp_path):
    artefact = write(tmp_path / "a")
    assert artefact.contract.to_json() == CONTRACT.to_json()
    assert artefact.contract.details["gain"] == 0.1 + 0.2
    assert artefact.file("model.bin").read_bytes() == b"\x00\x01"
    assert artefact.digest == open_artefact(tmp_path / "a", "lmo").digest


def test_one_flipped_bit_is_named(tmp_path):
    write(tmp_path / "a")
    (tmp_path / "a" / "model.bin").write_bytes(b"\x00\x03")
    with pytest.raises(ArtefactError, match=r"model\.bin"):
        open_artefact(tmp_path / "a", "lmo")


def test_wrong_kind_and_foreign_paths_are_refused(tmp_path):
    write(tmp_path / "a")
    with pytest.raises(ArtefactError, match="asked for 'vla'"):
        open_artefact(tmp_path / "a", "vla")
    sums = tmp_path / "a" / "SHA256SUMS"
    sums.write_text(sums.read_text() + "0" * 64 + "  ../outside\n")
    with pytest.raises(ArtefactError, match="outside"):
        open_artefact(tmp_path / "a", "lmo")


def test_mismatch_names_the_difference():
    with pytest.raises(ContractMismatch, match="joint_names") as caught:
        require_match("policy", {"joint_names": ["a", "b"], "rate": 50}, {"joint_names": ["b", "a"], "rate": 50})
    assert len(caught.value.differences) == 1


def test_rewriting_replaces_and_leaves_no_debris(tmp_path):
    first, second = write(tmp_path / "a").digest, write(tmp_path / "a").digest
    assert first == second
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_killed_before_the_rename_leaves_the_old_artefact(tmp_path):
    before = write(tmp_path / "a").digest
    script = (
        "import os, signal, sys; from pathlib import Path; import wbvla.core.contract as c\n"
        "c._swap = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
        "con = c.Contract(kind='lmo', robot='agibot_x2', rate_hz=50.0)\n"
        "c.write_artefact(Path(sys.argv[1]), con, {}, '', {'model.bin': b'new'})\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a")])
    assert done.returncode == -9
    assert open_artefact(tmp_path / "a", "lmo").digest == before
