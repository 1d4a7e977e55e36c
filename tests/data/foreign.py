"""Datasets in the exact layout of LeRobot 0.6.1 (v3.0, rolling) and 0.3.3 (v2.1), made without our writer."""

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FPS, HEIGHT, WIDTH = 10, 30, 50
HEAD, WRIST, DEPTH = "observation.images.head", "observation.images.wrist", "observation.depth"
TASKS = ["lift the box", "step back"]
ROW = ("role", "content", "style", "timestamp", "camera", "tool_calls")
AXES = ["height", "width", "channels"]
OWN = {
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    **{k: {"dtype": "int64", "shape": [1], "names": None} for k in ("frame_index", "episode_index")},
    **{k: {"dtype": "int64", "shape": [1], "names": None} for k in ("index", "task_index")},
}
FEATURES: dict[str, dict[str, Any]] = {
    HEAD: {"dtype": "video", "shape": [HEIGHT, WIDTH, 3], "names": AXES, "info": {"video.fps": FPS}},
    WRIST: {"dtype": "image", "shape": [3, HEIGHT, WIDTH], "names": ["channels", "height", "width"]},
    DEPTH: {"dtype": "image", "shape": [HEIGHT, WIDTH, 1], "names": AXES, "info": {"is_depth_map": True}},
    "observation.state": {"dtype": "float32", "shape": [3], "names": {"motors": ["a", "b", "c"]}},
    "observation.tactile": {"dtype": "float32", "shape": [2, 3], "names": None},
    "observation.cube": {"dtype": "int64", "shape": [2, 1, 3], "names": ["x", "y"]},
    "done": {"dtype": "bool", "shape": [1], "names": None},
    "remark": {"dtype": "string", "shape": [1], "names": None},
    "language_persistent": {"dtype": "language", "shape": [1], "names": None},
}


def level(episode: int, frame: int) -> int:
    """Grey of a frame; no two frames near each other have the same."""
    return (7 * frame + 50 * episode) % 240


def picture(episode: int, frame: int) -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), level(episode, frame), np.uint8)


def depth(episode: int, frame: int) -> np.ndarray:
    return (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) + 300 * frame + 1000 * episode).astype(np.uint16)


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


def value(name: str, episode: int, frame: int) -> Any:
    """What the parquet holds at a frame."""
    seed = 100 * episode + frame
    values = {
        "observation.state": [seed + 0.5, -seed, 1 / (1 + seed)],
        "observation.tactile": [[seed, 1, 2], [3, 4, -seed]],
        "observation.cube": [[[seed, 2**40, -1]], [[0, 1, seed]]],
        "done": frame % 2 == 0,
        "remark": f"é{seed}",
        "language_persistent": [language(seed)] if frame % 2 else [],
        "timestamp": frame / FPS,
        "frame_index": frame,
        "episode_index": episode,
        "task_index": (episode + (frame > 2)) % 2,
        WRIST: {"bytes": png(picture(episode, frame + 1)), "path": "frame.png"},
        DEPTH: {"bytes": png(depth(episode, frame)), "path": None},
    }
    return values[name]


def language(seed: int) -> dict[str, Any]:
    return dict(zip(ROW, ("user", f"say {seed}", "task_aug", 0.5, None, ['{"name": "stop", "n": [1]}'])))


def language_type(call: pa.DataType) -> pa.DataType:
    types = [pa.string(), pa.string(), pa.string(), pa.float32(), pa.string(), pa.list_(call)]
    return pa.list_(pa.struct(list(zip(ROW, types))))


def arrow_field(name: str, feature: dict[str, Any]) -> pa.Field:
    """The field as the `datasets` library leaves it in a parquet."""
    kinds = {"float32": pa.float32(), "int64": pa.int64(), "bool": pa.bool_(), "string": pa.string()}
    dtype, shape = feature["dtype"], feature["shape"]
    if dtype == "image":
        return pa.field(name, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    if dtype == "language":
        return pa.field(name, language_type(pa.json_()))
    if shape == [1]:
        return pa.field(name, kinds[dtype])
    if len(shape) == 1:
        return pa.field(name, pa.list_(kinds[dtype], shape[0]))
    nested = kinds[dtype]
    for _ in shape:
        nested = pa.list_(nested)
    marks = {
        "ARROW:extension:name": f"datasets.features.features.Array{len(shape)}DExtensionType",
        "ARROW:extension:metadata": json.dumps([shape, dtype]),
    }
    return pa.field(name, nested, metadata=marks)


def table(features: dict[str, Any], episode: int, length: int, start: int) -> pa.Table:
    """One episode's rows."""
    fields = [arrow_field(n, f) for n, f in features.items() if f["dtype"] != "video"]
    columns = []
    for one in fields:
        rows = [start + i if one.name == "index" else value(one.name, episode, i) for i in range(length)]
        plain = language_type(pa.string()) if one.name == "language_persistent" else one.type
        columns.append(pa.array(rows, plain).cast(one.type))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def mp4(path: Path, levels: list[int], fps: int = FPS, group: int = 2) -> None:
    """Flat grey frames; one file of episodes one behind the other, as LeRobot's remux leaves them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=fps, options={"bf": "0", "crf": "10", "g": str(group)})
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        stream.codec_context.thread_count = 1
        for i, grey in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((HEIGHT, WIDTH, 3), grey, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def info(version: str, lengths: list[int], features: dict[str, Any], **more: Any) -> dict[str, Any]:
    totals = {"total_episodes": len(lengths), "total_frames": sum(lengths), "total_tasks": len(TASKS)}
    base = {"codebase_version": version, "robot_type": "bench", "fps": FPS, "splits": {"train": f"0:{len(lengths)}"}}
    return {**base, **totals, "chunks_size": 1000, "features": {**features, **OWN}, **more}


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_v3(root: Path, lengths: list[int], per_file: int = 2, drift_s: float = 0.0, group: int = 2) -> Path:
    """Rolling files of `per_file` episodes, one row group each; `drift_s` is added to each start in a video."""
    paths = {
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
    }
    write_json(root / "meta/info.json", info("v3.0", lengths, FEATURES, **paths))
    names = pa.table({"task_index": range(len(TASKS)), "__index_level_0__": TASKS})
    pq.write_table(names, root / "meta/tasks.parquet")
    rows, start = [], 0
    for first in range(0, len(lengths), per_file):
        file, at, levels = first // per_file, 0, []
        path = root / f"data/chunk-000/file-{file:03d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        schema = table({**FEATURES, **OWN}, 0, 1, 0).schema
        with pq.ParquetWriter(path, schema) as writer:
            for episode in range(first, min(first + per_file, len(lengths))):
                length = lengths[episode]
                writer.write_table(table({**FEATURES, **OWN}, episode, length, start))
                levels += [level(episode, i) for i in range(length)]
                rows.append(meta_row(episode, length, start, file, at / FPS + drift_s))
                start, at = start + length, at + length
        mp4(root / f"videos/{HEAD}/chunk-000/file-{file:03d}.mp4", levels, group=group)
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return root


def meta_row(episode: int, length: int, start: int, file: int, at_s: float) -> dict[str, Any]:
    return {
        "episode_index": episode,
        "tasks": TASKS,
        "length": length,
        "data/chunk_index": 0,
        "data/file_index": file,
        "dataset_from_index": start,
        "dataset_to_index": start + length,
        f"videos/{HEAD}/chunk_index": 0,
        f"videos/{HEAD}/file_index": file,
        f"videos/{HEAD}/from_timestamp": at_s,
        f"videos/{HEAD}/to_timestamp": at_s + length / FPS,
        "stats/action/mean": [0.0],
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }


def write_v21(root: Path, lengths: list[int], chunks_size: int = 1000, version: str = "v2.1") -> Path:
    """One parquet and one mp4 per episode, JSON-lines tables."""
    paths = {
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "total_videos": len(lengths),
        "total_chunks": 1,
    }
    features = {k: f for k, f in FEATURES.items() if k not in (DEPTH, "language_persistent")}
    write_json(root / "meta/info.json", info(version, lengths, features, **paths) | {"chunks_size": chunks_size})
    start, lines = 0, []
    for episode, length in enumerate(lengths):
        chunk = f"chunk-{episode // chunks_size:03d}"
        path = root / f"data/{chunk}/episode_{episode:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table({**features, **OWN}, episode, length, start), path)
        mp4(root / f"videos/{chunk}/{HEAD}/episode_{episode:06d}.mp4", [level(episode, i) for i in range(length)])
        lines.append({"episode_index": episode, "tasks": TASKS, "length": length})
        start += length
    write_lines(root / "meta/episodes.jsonl", lines)
    write_lines(root / "meta/tasks.jsonl", [{"task_index": i, "task": t} for i, t in enumerate(TASKS)])
    stats = {"observation.state": {"mean": [0.0, 0.0, 0.0], "count": [1]}}
    write_lines(root / "meta/episodes_stats.jsonl", [{"episode_index": i, "stats": stats} for i in range(len(lengths))])
    return root


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def edit_info(root: Path, **changes: Any) -> None:
    """Change keys of info.json; None removes one."""
    path = root / "meta/info.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))
