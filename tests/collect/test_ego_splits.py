"""Held out by construction: what is drawn for `train` and for `test` has no room, look, person or word in common."""

import re

import numpy as np
import pytest

from wbvla.collect.ego.clips import draw_clip
from wbvla.collect.ego.goals import FAR_M, NEAR_M, Landmark, goals_of, relations
from wbvla.collect.ego.looks import NUM_CELLS, PALETTES, SHADE, draw, in_test, key
from wbvla.collect.ego.person import BOB, CARRIAGE, EYE_M, FOVY, PITCH, SPEED, STEP, SWAY, TURN, Person
from wbvla.collect.ego.room import HALF_X, HALF_Y, HEIGHT, RoomPlan
from wbvla.collect.ego.video import EgoVideoConfig, clip_config
from wbvla.collect.ego.words import GOALS_TEST, SAYINGS
from wbvla.data.phrases import load_phrases

SPLITS = ("train", "test")
ROOMS = 5


@pytest.fixture(scope="module")
def plans() -> dict[str, list[RoomPlan]]:
    return {split: [RoomPlan(split, 0, number) for number in range(ROOMS)] for split in SPLITS}


def plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def test_cells_share_a_range_without_meeting() -> None:
    rng = np.random.default_rng(0)
    values = {split: np.array([draw(rng, 1.5, 1.75, split) for _ in range(400)]) for split in SPLITS}
    cells = {split: set(((v - 1.5) / 0.25 * NUM_CELLS).astype(int)) for split, v in values.items()}
    assert not cells["train"] & cells["test"]
    assert len(cells["train"] | cells["test"]) == NUM_CELLS, "together they cover the range"
    assert all(in_test(v, 1.5, 1.75) for v in values["test"])
    assert not any(in_test(v, 1.5, 1.75) for v in values["train"])
    assert not {key(s, "train", 1, n) for s in range(9) for n in range(9)} & {
        key(s, "test", 1, n) for s in range(9) for n in range(9)
    }


def test_people_are_of_other_cells() -> None:
    ranges = {"height": EYE_M, "speed": SPEED, "turn_rate": TURN, "step_hz": STEP, "bob": BOB, "sway": SWAY}
    ranges |= {"pitch_down": PITCH, "carriage": CARRIAGE, "fovy": FOVY}
    for split in SPLITS:
        people = [Person.draw(np.random.default_rng((5, i)), split) for i in range(40)]
        for name, (low, high) in ranges.items():
            values = [getattr(person, name) for person in people]
            assert all(in_test(v, low, high) == (split == "test") for v in values), name
            assert min(values) >= low
            assert max(values) <= high
            assert len(set(values)) == len(values)


def colours_of(plan: RoomPlan) -> np.ndarray:
    """Drawn colours of all pictures' parts, as rows."""
    return np.array([geom.rgba[:3] for geom in plan.model.geoms if geom.name.startswith("solid_")])


def test_rooms_are_of_other_sizes_surfaces_and_colours(plans: dict[str, list[RoomPlan]]) -> None:
    for split, rooms in plans.items():
        for plan in rooms:
            for value, limits in zip((*plan.half, plan.height), (HALF_X, HALF_Y, HEIGHT)):
                assert in_test(value, *limits) == (split == "test")
    ours, theirs = ({(p.room.floor, p.room.wall) for p in plans[split]} for split in SPLITS)
    assert not {f for f, _ in ours} & {f for f, _ in theirs}
    assert not {w for _, w in ours} & {w for _, w in theirs}
    drawn = {split: np.array([p.room.wall_colour for p in plans[split]]) for split in SPLITS}
    assert np.abs(drawn["train"][:, None] - drawn["test"][None]).max(axis=-1).min() > 0.0
    layouts = [{tuple(np.round(place.low, 4)) for m in p.landmarks for place in [m.place]} for p in plans["train"]]
    others = [{tuple(np.round(place.low, 4)) for m in p.landmarks for place in [m.place]} for p in plans["test"]]
    assert not set.union(*layouts) & set.union(*others), "no piece stands where one of the other split stands"


@pytest.mark.parametrize("kind", ["skins", "sleeves", "woods", "cloths", "paints", "boxes"])
def test_no_colour_can_be_drawn_by_both(kind: str) -> None:
    """Each split draws within SHADE of its nominal colours, and those of the two are further apart than that."""
    lists = [getattr(PALETTES[split], kind) for split in SPLITS]
    ours, theirs = (np.array(list(c.values()) if isinstance(c, dict) else c) for c in lists)
    apart = np.abs(ours[:, None] - theirs[None]).max(axis=-1)
    assert apart.min() > 2 * SHADE, f"{np.unravel_index(apart.argmin(), apart.shape)}"


def test_drawn_boxes_keep_to_the_shades_of_their_split(plans: dict[str, list[RoomPlan]]) -> None:
    for split, other in (SPLITS, SPLITS[::-1]):
        for plan in plans[split]:
            for target in {g.target for g in plan.goals if g.target.noun.endswith("box")}:
                rgb = plan.model.geom(f"solid_{target.shape}").rgba[:3]
                colour = target.noun.split()[0]
                assert np.abs(rgb - PALETTES[split].boxes[colour]).max() <= SHADE + 1e-6
                assert min(np.abs(rgb - np.array(c)).max() for c in PALETTES[other].boxes.values()) > SHADE


def test_instructions_are_of_other_words(plans: dict[str, list[RoomPlan]]) -> None:
    """Also after training's own paraphrases; and at least four ways to name a goal are kept for evaluation."""
    assert len(GOALS_TEST) >= 4
    train, test = ({plain(w) for ways in (*SAYINGS[s][0].values(), SAYINGS[s][1]) for w in ways} for s in SPLITS)
    book = load_phrases("train")
    said = {
        plain(p)
        for ways in (*SAYINGS["train"][0].values(), SAYINGS["train"][1])
        for w in ways
        for p in book.all_paraphrases(w)
    }
    assert not (train | said) & test
    config = clip_config(EgoVideoConfig())
    told: dict[str, set[str]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for plan in plans[split][:2]:
            for index in range(4):
                told[split] |= set(draw_clip(plan, config, 10 * plan.number + index).phrasings)
    assert len(told["train"]) > 10
    assert not told["train"] & told["test"]


def test_a_name_is_of_one_thing_and_true(plans: dict[str, list[RoomPlan]]) -> None:
    """Every name of a goal, taken at its word, holds for its thing and for no other thing of the room."""
    related = 0
    for plan in (*plans["train"], *plans["test"]):
        names = [name for goal in plan.goals for name in goal.names]
        assert len(names) == len(set(names))
        for goal in plan.goals:
            for name in goal.names:
                for place in (" by the ", " next to the ", " on the "):
                    if place not in name:
                        continue
                    related += 1
                    mark = name.split(place)[1]
                    like = [t for t in plan.targets if t.noun == goal.target.noun]
                    if place == " on the ":
                        holds = [t for t in like if t.support == mark]
                    else:
                        near = [m.place for m in plan.landmarks if m.kind == mark]
                        holds = [
                            t
                            for t in like
                            if any(p != t.own and p.distance(np.array(t.solid.xyz[:2])) < FAR_M for p in near)
                        ]
                    assert holds == [goal.target], name
    assert related > 40


def test_alike_boxes_are_told_apart(plans: dict[str, list[RoomPlan]]) -> None:
    """Rooms hold boxes of one colour that only their places tell apart."""
    alike = 0
    for plan in plans["train"]:
        nouns = [t.noun for t in plan.targets if t.noun.endswith("box")]
        alike += sum(nouns.count(noun) > 1 for noun in set(nouns))
        for goal in plan.goals:
            if [t.noun for t in plan.targets].count(goal.target.noun) > 1:
                assert all(name != f"the {goal.target.noun}" for name in goal.names)
    assert alike >= ROOMS // 2
    first = plans["train"][0]
    lonely = goals_of(first.targets[:1], [])
    assert lonely[0].names == (f"the {first.targets[0].noun}",)
    twice = goals_of([first.targets[0], first.targets[0]], first.landmarks)
    assert twice == [], "nothing tells a thing from one in the same place"
    place = next(m.place for m in first.landmarks if m.place != first.targets[0].own)
    far = Landmark(kind="tree", place=place)
    assert "tree" in relations(first.targets[0], [far], 100.0)
    assert NEAR_M < FAR_M


def test_starts_are_balanced_between_left_and_right(plans: dict[str, list[RoomPlan]]) -> None:
    config = clip_config(EgoVideoConfig(goal_share=1.0))
    offsets = np.array([draw_clip(p, config, i).offset for p in plans["train"][:2] for i in range(6)])
    assert abs((offsets > 0).sum() - len(offsets) / 2) <= 1
    assert np.abs(offsets).max() < 1.1
    assert np.ptp(np.abs(offsets)) > 0.4
