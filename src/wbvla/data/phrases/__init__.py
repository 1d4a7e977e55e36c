"""Instructions in other words, from two fixed files: one for training, one that training never reads."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path
from typing import Literal

from wbvla.core.errors import DataError

FOLDER = Path(__file__).parent
SIDES = {
    "left": "right",
    "leftmost": "rightmost",
    "leftward": "rightward",
    "leftwards": "rightwards",
    "clockwise": "counterclockwise",
}
SIDES |= {right: left for left, right in SIDES.items()}
NO_SIDE = re.compile(r"\bright (?:away|now|here|there|on)\b|\b(?:all|that's) right\b|\bleft (?:over|alone)\b", re.I)
"""`left` and `right` that name no side"""
SIDE = re.compile(rf"(?<![\w-])({'|'.join(sorted(SIDES, key=len, reverse=True))})(?!\w)", re.I)


@dataclass(frozen=True)
class Phrasebook:
    """Synonyms of parts of a sentence, and other wordings of whole instructions; matched without regard to case."""

    synonyms: Mapping[str, tuple[str, ...]]
    """phrase -> what may stand for it"""
    instructions: Mapping[str, tuple[str, ...]]
    """instruction -> the same in other words"""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Every phrase as whole words, the longest first."""
        phrases = sorted(self.synonyms, key=len, reverse=True)
        return re.compile(rf"(?<!\w)({'|'.join(re.escape(p) for p in phrases)})(?!\w)", re.I)

    def paraphrase(self, text: str, numbers: Sequence[float]) -> str:
        """The instruction in other words, chosen by numbers in 0..1 alone; unchanged where no rule fits.

        Half of the time a known instruction is replaced as a whole; else each phrase that has synonyms is replaced
        or kept, several at once, and the first one surely.
        """
        whole = self.instructions.get(" ".join(text.lower().split()), ())
        if whole and numbers[0] < 0.5:
            return like(text, _pick(whole, numbers[1]))
        spans = list(self.pattern.finditer(text))
        if not spans:
            return text
        chosen = []
        for i, span in enumerate(spans):
            options = self.synonyms[span.group().lower()]
            kept = () if i == 0 else (span.group().lower(),)
            chosen.append(like(span.group(), _pick((*options, *kept), numbers[1 + i % (len(numbers) - 1)])))
        return _join(text, spans, chosen)

    def all_paraphrases(self, text: str) -> Iterator[str]:
        """Everything `paraphrase` can return for a text in which a rule fits."""
        for whole in self.instructions.get(" ".join(text.lower().split()), ()):
            yield like(text, whole)
        spans = list(self.pattern.finditer(text))
        options = [(*self.synonyms[s.group().lower()], s.group().lower()) for s in spans]
        for chosen in product(*options):
            yield _join(text, spans, [like(s.group(), c) for s, c in zip(spans, chosen)])


@lru_cache(maxsize=2)
def load_phrases(purpose: Literal["train", "test"]) -> Phrasebook:
    """The fixed phrases for one purpose; training may only ask for `train`. Raises DataError on a damaged file."""
    path = FOLDER / f"{purpose}.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        tables = [{k: tuple(map(str, v)) for k, v in value[part].items()} for part in ("synonyms", "instructions")]
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{path} holds no phrases ({error!r}); install wbvla again") from error
    return Phrasebook(*tables)


def mirror_words(text: str) -> str:
    """`left` and `right` exchanged as whole words, in the case they are written; `right away` names no side."""
    spared = [span.span() for span in NO_SIDE.finditer(text)]

    def swap(found: re.Match[str]) -> str:
        if any(start <= found.start() < end for start, end in spared):
            return found.group()
        return like(found.group(), SIDES[found.group().lower()])

    return SIDE.sub(swap, text)


def like(model: str, text: str) -> str:
    """`text` in the case of `model`: all capitals, a capital first, or as it is."""
    if len(model) > 1 and model.isupper():
        return text.upper()
    return text[:1].upper() + text[1:] if model[:1].isupper() else text


def _join(text: str, spans: Sequence[re.Match[str]], chosen: Sequence[str]) -> str:
    """The text with each span replaced."""
    parts, at = [], 0
    for span, words in zip(spans, chosen):
        parts += [text[at : span.start()], words]
        at = span.end()
    return "".join((*parts, text[at:]))


def _pick(options: Sequence[str], number: float) -> str:
    return options[min(int(number * len(options)), len(options) - 1)]
