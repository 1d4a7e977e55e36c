#!/bin/sh
# Makes two Python 3.12 environments with the real LeRobot, for `benchmarks/data_interop.py`; not for CI.
#
#   sh benchmarks/interop/setup.sh [FOLDER]      FOLDER/v3 and FOLDER/v21, default build/interop
#
# LeRobot pins torch, numpy, datasets and pandas to releases that do not install beside ours, so it lives apart and the
# benchmark talks to it through files. PYTHON312 names the interpreter; some 8 GB of disk are needed. Its video decoder
# (torchcodec) loads FFmpeg's shared libraries: Debian's `ffmpeg` is installed when it is missing and we are root.
set -eu
folder=${1:-build/interop}
python=${PYTHON312:-python3.12}

if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null; then
    echo "no Python 3.12 under '$python'; set PYTHON312=/path/to/python3.12" >&2
    exit 2
fi
if ! command -v ffmpeg >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update && apt-get install -y --no-install-recommends ffmpeg
    else
        echo "FFmpeg is missing; as root: apt-get install ffmpeg. LeRobot then decodes by PyAV instead" >&2
    fi
fi

make_environment() { # folder, what to install
    where=$1
    shift
    [ -x "$where/bin/python" ] || "$python" -m venv "$where"
    "$where/bin/python" -m pip install --quiet --upgrade pip
    "$where/bin/python" -m pip install --quiet "$@"
    (cd "$where" && bin/python -c 'import importlib.metadata as m; print("lerobot", m.version("lerobot"), "torch", m.version("torch"))')
}

mkdir -p "$folder"
make_environment "$folder/v3" 'lerobot[dataset]==0.6.1'
# 0.3.3 does not bound them: with later ones it cannot write a feature of shape (1,), nor describe a video
make_environment "$folder/v21" 'lerobot==0.3.3' 'numpy<2.4' 'av<16'
echo "ready: WBVLA_INTEROP=$folder .venv/bin/python benchmarks/data_interop.py --quick"
