"""Who touches whom in a simulated world: one bit per kind of thing, and the friction of hands and soles.

| kind      | contype   | conaffinity                    | so it meets                              |
|-----------|-----------|--------------------------------|------------------------------------------|
| floor     | FLOOR     | 0                              | soles, limbs, objects                    |
| furniture | FURNITURE | 0                              | limbs, objects                           |
| object    | OBJECT    | FLOOR, FURNITURE, OBJECT       | floor, furniture, limbs, other objects   |
| sole      | 0         | FLOOR                          | floor only                               |
| foot      | 0         | FURNITURE, OBJECT              | furniture, objects                       |
| limb      | 0         | FLOOR, FURNITURE, OBJECT       | floor, furniture, objects; never a limb  |

The robot never meets itself: its joint limits and the expert's motions keep limbs apart, and 40 geometry pairs
less make training a quarter faster.
"""

from dataclasses import dataclass

FLOOR, FURNITURE, OBJECT = 1, 2, 4


@dataclass(frozen=True)
class ContactKind:
    """Bits and friction of one kind of geometry."""

    contype: int
    conaffinity: int
    friction: tuple[float, float, float] = (0.8, 0.005, 0.0001)
    """sliding [-], torsional [m], rolling [m]"""
    condim: int = 3
    priority: int = 0
    """the higher one decides the friction of a pair"""


NOTHING = ContactKind(0, 0)
GROUND = ContactKind(FLOOR, 0)
FIXED = ContactKind(FURNITURE, 0)
FREE = ContactKind(OBJECT, FLOOR | FURNITURE | OBJECT, friction=(0.6, 0.005, 0.0001), condim=4)
SOLE = ContactKind(0, FLOOR, priority=1)
FOOT = ContactKind(0, FURNITURE | OBJECT)
LIMB = ContactKind(0, FLOOR | FURNITURE | OBJECT)
PAD = ContactKind(0, FLOOR | FURNITURE | OBJECT, friction=(1.2, 0.02, 0.0001), condim=4, priority=2)
"""rubber of palms and fingers"""
