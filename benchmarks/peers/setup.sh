#!/bin/sh
# Makes two environments with the peers of the controller's training, for `benchmarks/lmo_throughput.py`; not for CI.
#
#   sh benchmarks/peers/setup.sh [FOLDER]      FOLDER/mjlab and FOLDER/unilab, default build/peers
#
# mjlab 1.6.0 and UniLab 1.5.2 pin MuJoCo 3.11 and other releases of rsl-rl-lib than ours, so they live apart. TORCH is
# what pip is told to install as torch: on a machine with an accelerator name the build that fits its driver; the same
# build should stand in ours, or the ratio compares torches. Some 5 GB of disk are needed.
set -eu
folder=${1:-build/peers}
python=$(sh "$(dirname "$0")/../../scripts/find_python.sh")
torch=${TORCH:-torch==2.13.0}

make_environment() { # folder, what to install
    where=$1
    shift
    [ -x "$where/bin/python" ] || "$python" -m venv "$where"
    "$where/bin/python" -m pip install --quiet "$@"
}

mkdir -p "$folder"
make_environment "$folder/mjlab" "$torch" mjlab==1.6.0
make_environment "$folder/unilab" "$torch" 'unilab[mujoco]==1.5.2'
for peer in mjlab unilab; do
    (cd "$folder/$peer" && bin/python -c "import importlib.metadata as m; print('$peer', m.version('$peer'), 'mujoco', m.version('mujoco'), 'torch', m.version('torch'))")
done
echo "ready: .venv/bin/python benchmarks/lmo_throughput.py --peers $folder --quick"
