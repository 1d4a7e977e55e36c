"""Does the real LeRobot read what we write, and do we read what it writes? Every key, task, frame and window.

    python benchmarks/data_interop.py [--quick]

Writes a dataset of each kind here (egocentric, manipulation, teleoperation with depth, rollouts, labelled, compacted),
opens each in `LeRobotDataset` 0.6.1, and its v2.1 export in 0.3.3; then has both releases write datasets with their
own classes (videos, embedded images, rolling files, arrays of several axes, depth) and opens those here. Numbers and
words must be equal to the bit, frames to within the decoders' different roundings. Needs the environments of
`benchmarks/interop/setup.sh`, in build/interop or where WBVLA_INTEROP points. Last line: one JSON object. The long
form writes docs/results/data_interop.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "interop"))

from comparing import OFFSETS, Verdict, compare, control, wanted_windows  # noqa: E402 # pyright: ignore
from recordings import make_all  # noqa: E402 # pyright: ignore

from wbvla.core.files import write_json  # noqa: E402
from wbvla.core.run import provenance  # noqa: E402
from wbvla.data.export import export  # noqa: E402
from wbvla.data.reader import Dataset  # noqa: E402

RESULT = HERE.parent / "docs" / "results" / "data_interop.json"
RELEASES = {"v3": "LeRobot 0.6.1", "v21": "LeRobot 0.3.3"}


def environments() -> dict[str, Path]:
    """The interpreters of both releases; none where they are not set up."""
    folder = Path(os.environ.get("WBVLA_INTEROP", HERE.parent / "build" / "interop"))
    return {name: folder / name / "bin" / "python" for name in RELEASES if (folder / name / "bin/python").is_file()}


def run_inside(python: Path, script: str, *args: str, work: Path) -> str:
    """Run one of the scripts in LeRobot's environment, away from the network; raises RuntimeError with its words."""
    env = {**os.environ, "HF_HOME": str(work / "hub"), "HF_HUB_OFFLINE": "1", "SVT_LOG": "1"}
    env |= {"OMP_NUM_THREADS": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    env.pop("PYTHONPATH", None)
    command = [str(python), str(HERE / "interop" / script), *args]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"{script} {' '.join(args)} failed:\n{done.stderr[-2000:]}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def read_inside(python: Path, roots: dict[str, Path], work: Path) -> dict[str, Path]:
    """LeRobot reads every folder, in one process; returns where it wrote down what it saw."""
    dumps = {kind: work / f"dump-{python.parents[1].name}-{i}" for i, kind in enumerate(roots)}
    jobs = [
        {
            "root": str(root),
            "out": str(dumps[kind]),
            "offsets": OFFSETS,
            "windows": wanted_windows(Dataset(root)),
        }
        for kind, root in roots.items()
    ]
    listed = work / "jobs.json"
    listed.write_text(json.dumps(jobs))
    run_inside(python, "lerobot_read.py", str(listed), work=work)
    return dumps


def show(verdict: Verdict) -> None:
    """One line, and the first differences."""
    state = "equal" if not verdict.differences else f"{len(verdict.differences)} DIFFERENCES"
    print(
        f"{verdict.kind:30} {verdict.frames:6} frames {verdict.windows:5} windows {len(verdict.keys):3} keys  "
        f"max {verdict.max_levels:2} levels, depth {verdict.depth_mm:.1f} mm  {state}",
        flush=True,
    )
    for difference in verdict.differences[:5]:
        print(f"    {difference}")


def exports(made: dict[str, Path], work: Path) -> dict[str, Path]:
    """Our v2.1 exports of some kinds: videos copied, and cut out of rolling files; GR00T's form of one."""
    result: dict[str, Path] = {}
    for kind in ("egocentric", "teleoperation", "compacted"):
        target = work / "exports" / kind
        target.parent.mkdir(exist_ok=True)
        done = export(made[kind], target, "gr00t" if kind == "teleoperation" else "v2.1")
        print(f"export of {kind}: {done.copied} videos copied, {done.remuxed} cut, {done.encoded} encoded", flush=True)
        result[f"export of {kind}"] = target
    return result


def measure(work: Path, pythons: dict[str, Path], num_episodes: int) -> dict[str, Any]:
    """All kinds, both ways."""
    made = make_all(work / "ours", num_episodes)
    roots = {"v3": {f"ours {k}": r for k, r in made.items()}, "v21": exports(made, work)}
    verdicts: list[Verdict] = []
    versions: dict[str, str] = {}
    blind: list[str] = ["no control was run"]
    for release, python in pythons.items():
        out = work / f"theirs-{release}"
        run_inside(python, "lerobot_write.py", str(out), str(num_episodes), work=work)
        theirs = {f"{RELEASES[release]} {p.name}": p for p in sorted(out.iterdir()) if p.is_dir()}
        folders = {**roots[release], **theirs}
        for kind, dump in read_inside(python, folders, work).items():
            verdict, facts = compare(kind, folders[kind], dump)
            show(verdict)
            verdicts.append(verdict)
            versions |= {f"{key}_{release}": facts[key] for key in ("lerobot", "torchcodec", "av") if key in facts}
            if kind == "ours teleoperation" and facts:
                blind = control(folders[kind], dump)
                print(f"planted errors that were not noticed: {blind or 'none'}", flush=True)
    differences = [d for v in verdicts for d in v.differences]
    return {
        "versions": versions,
        "kinds": {v.kind: v.summary() for v in verdicts},
        "keys_compared": sum(len(v.keys) for v in verdicts),
        "tasks_compared": sum(v.tasks for v in verdicts),
        "frames_compared": sum(v.frames for v in verdicts),
        "windows_compared": sum(v.windows for v in verdicts),
        "max_levels": max(v.max_levels for v in verdicts),
        "max_depth_mm": max(v.depth_mm for v in verdicts),
        "differences": differences,
        "planted_errors_missed": blind,
        "equal": not differences and not blind,
    }


def main() -> int:
    """0 when everything is equal, 2 when the environments are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 episodes a dataset; writes no file")
    options = parser.parse_args()
    pythons = environments()
    if len(pythons) < len(RELEASES):
        missing = [RELEASES[name] for name in RELEASES if name not in pythons]
        message = "run `sh benchmarks/interop/setup.sh`, or set WBVLA_INTEROP to a folder with v3 and v21"
        print(f"no environment of {' and '.join(missing)} here: {message}")
        print(json.dumps({"equal": None, "missing": missing, "why": message}))
        return 2
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), pythons, 3 if options.quick else 9)
    result["seconds"] = round(time.perf_counter() - began, 1)
    if not options.quick:
        command = "python benchmarks/data_interop.py"
        write_json(RESULT, {"command": command, "seeds": {"ours": 3, "theirs": 7}, **result, **provenance()})
    print(json.dumps(result))
    return 0 if result["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
