"""Paraphrases: as the case is written, several at once, and nothing of the test file ever in training."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wbvla
from wbvla.collect.ego.words import GOALS, PROMPTS
from wbvla.data.phrases import Phrasebook, like, load_phrases, mirror_words
from wbvla.sim.tasks.box_lift import TEST, TRAIN

NUMBERS = st.lists(st.floats(0, 0.999), min_size=8, max_size=8)
TRAINED = (*TRAIN, *(w for words in PROMPTS.values() for w in words), *GOALS)
"""every instruction that the simulator and the egocentric clips are recorded with"""


def test_chapter_rules_hold_whatever_the_case() -> None:
    book = Phrasebook({"pick up": ("grasp",), "move to": ("navigate to",)}, {})
    said = book.paraphrase("Pick up the cup and MOVE TO the door", [0.0] * 8)
    assert said == "Grasp the cup and NAVIGATE TO the door"
    assert book.paraphrase("PICK UP, pick up", [0.0] * 8) == "GRASP, grasp"


def test_shipped_rules_cover_the_chapter() -> None:
    book = load_phrases("train")
    assert {"grasp", "take", "lift"} <= set(book.synonyms["pick up"])
    assert {"go to", "navigate to", "walk to"} <= set(book.synonyms["move to"])
    assert book.paraphrase("Pick up the cup", [0.9] + [0.0] * 7).startswith("Grasp")


def test_longest_phrase_first_and_whole_words_only() -> None:
    book = Phrasebook({"walk": ("step",), "walk up to": ("approach",)}, {})
    assert book.paraphrase("walk up to the catwalk", [0.0] * 8) == "approach the catwalk"


def test_no_chain_of_replacements() -> None:
    """What was put in is not looked at again: `take` from `grab` does not become `grasp`."""
    book = Phrasebook({"grab": ("take",), "take": ("grasp",)}, {})
    assert book.paraphrase("grab it, take it", [0.0] * 8) == "take it, grasp it"


@given(text=st.sampled_from(TRAINED), numbers=NUMBERS)
@settings(max_examples=100, deadline=None)
def test_a_paraphrase_is_one_of_those_listed_and_a_function_of_the_numbers(text: str, numbers: list[float]) -> None:
    book = load_phrases("train")
    said = book.paraphrase(text, numbers)
    assert said == book.paraphrase(text, numbers)
    assert said in set(book.all_paraphrases(text))


@given(text=st.text(max_size=60), numbers=NUMBERS)
@settings(max_examples=100, deadline=None)
def test_any_text_survives(text: str, numbers: list[float]) -> None:
    said = load_phrases("train").paraphrase(text, numbers)
    assert bool(said.strip()) == bool(text.strip())
    mirror_words(text)


def test_every_instruction_of_ours_has_other_words() -> None:
    book = load_phrases("train")
    few = [t for t in TRAINED if len(set(book.all_paraphrases(t))) < 2]
    assert not few, f"no synonyms for {few}"


def test_train_and_test_share_no_phrase() -> None:
    train, test = load_phrases("train"), load_phrases("test")
    for part in ("synonyms", "instructions"):
        ours, theirs = (
            {p.lower() for values in getattr(book, part).values() for p in values} for book in (train, test)
        )
        assert len(ours) > 10
        assert not ours & theirs
    assert not set(train.synonyms) & {p for values in test.synonyms.values() for p in values}


def test_training_can_never_say_a_test_instruction() -> None:
    """Every sentence that training can produce from our instructions against every one kept for evaluation."""
    train, test = load_phrases("train"), load_phrases("test")
    kept = {plain(t) for t in TEST} | {plain(p) for values in test.instructions.values() for p in values}
    said = {plain(p) for text in TRAINED for p in train.all_paraphrases(text)}
    mirrored = {plain(mirror_words(p)) for p in said}
    assert len(said) > 500
    assert not (said | mirrored) & kept
    changed = {plain(p) for text in TRAINED for p in test.all_paraphrases(text)} - {plain(t) for t in TRAINED}
    assert not changed & said, "the test synonyms lead to other sentences"


def plain(text: str) -> str:
    return re.sub(r"\W+", " ", text.lower()).strip()


def test_held_out_instructions_of_the_task_are_in_the_test_file() -> None:
    listed = {p for values in load_phrases("test").instructions.values() for p in values}
    assert set(TEST) <= listed
    with pytest.raises(KeyError):
        load_phrases("train").instructions[TEST[0]]


@pytest.mark.parametrize(
    ("text", "mirrored"),
    [
        ("turn left", "turn right"),
        ("Left hand over, then RIGHT", "Right hand over, then LEFT"),
        ("take the leftmost box", "take the rightmost box"),
        ("turn clockwise", "turn counterclockwise"),
        ("leftover food, all right", "leftover food, all right"),
        ("stop right there, then step to the right", "stop right there, then step to the left"),
        ("use the left-hand door", "use the right-hand door"),
        ("bright copyright", "bright copyright"),
    ],
)
def test_sides_in_words(text: str, mirrored: str) -> None:
    assert mirror_words(text) == mirrored
    assert mirror_words(mirrored) == text


def test_case_is_kept() -> None:
    assert like("Pick up", "take hold of") == "Take hold of"
    assert like("pick up", "take") == "take"
    assert like("A", "take") == "Take"


def test_only_evaluation_may_read_the_test_file() -> None:
    """No source that trains or records names it."""
    source = Path(wbvla.__file__).parent
    rooms = ("vla", "lam", "train", "recipes", "collect", "data")
    readers = [
        path.name
        for room in rooms
        for path in (source / room).rglob("*.py")
        if re.search(r"load_phrases\(\s*[\"']test|phrases/test|test\.json", path.read_text())
    ]
    assert [p for p in readers if p != "__init__.py"] == []
    assert any('load_phrases("train")' in p.read_text() for p in (source / "vla").glob("*.py"))
