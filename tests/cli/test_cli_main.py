"""The program `wbvla` as a shell meets it."""

import subprocess
import sys


def test_a_reader_that_leaves_is_no_error():
    verb = [sys.executable, "-m", "wbvla.cli.main", "data", "import", "--help"]
    with subprocess.Popen(verb, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert said == ""
    assert process.returncode == 141
