"""Which volume is which channel of a model, guessed from names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

_T1 = ("t1", "t1w", "mprage", "spgr", "bravo")
_T1CE = ("t1ce", "t1gd", "t1c", "t1wce", "t1wgd", "t1post", "t1wc", "t1km", "t1cm")
_CONTRAST = (
    "ce", "gd", "gad", "gado", "gadolinium", "dotarem", "gadovist", "post", "postcontrast", "c",
    "contrast", "km", "cm", "enhanced",
)  # fmt: skip
# What scanners, challenges and people call the same thing. The first kind that fits is taken, so
# that special ones stand before general ones: a T2-FLAIR is no T2. A word of several parts fits
# where all its parts are there, in whatever order.
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("adc", ("adc",)),
    ("dwi", ("dwi", "trace", "trac", "isodwi", "hbv", "b500", "b800", "b1000", "b1400", "b2000")),
    ("flair", ("flair", "fla", "t2f", "t2flair", "tirm", "darkfluid")),
    ("t1ce", (*_T1CE, *(f"{first} {second}" for first in _T1 for second in _CONTRAST))),
    ("t2star", ("t2star", "t2s", "gre", "hemo")),
    ("swi", ("swi", "swan")),
    ("dce", ("dce",)),
    ("perfusion", ("cbf", "cbv", "rcbv", "tmax", "mtt", "asl", "dsc", "perfusion")),
    ("pd", ("pd", "pdw")),
    ("t1", (*_T1, "t1n", "t1native", "mpr", "mp2rage")),
    ("t2", ("t2", "t2w", "tse2", "space")),
    ("pet", ("pet", "suv", "fdg", "psma", "petct", "suvbw", "pt")),
    ("ct", ("ct", "cta", "ctres", "ctac", "hu")),
)
_NUMBERED = re.compile(r"^(?P<stem>.+)_(?P<number>\d{4})$")  # nnU-Net's names of channels


def kindOf(name: str) -> str:
    """Return what sort of image a name speaks of, such as "t1ce"; empty if it does not say.

    >>> kindOf("BraTS_001_t1ce.nii.gz"), kindOf("Ax T1 post Gd"), kindOf("T2-FLAIR"), kindOf("Scan")
    ('t1ce', 't1ce', 'flair', '')
    """
    words = _words(name)
    for kind, signs in _KINDS:
        if any(set(sign.split()) <= words for sign in signs):
            return kind
    return ""


def guessChannels(
    channels: Sequence[str], volumes: Sequence[str], *, like: str = ""
) -> tuple[int | None, ...]:
    """Return for each channel the index of the volume that its name fits best, None if none does.

    Args:
        channels: names of the model's channels in order; empty names for unnamed ones.
        volumes: names of the volumes to choose from.
        like: name of a volume that is chosen already: of equally good ones, that which begins
            most like it is taken, as a case's volumes are mostly named alike.
    """
    scored = [
        (_score(channel, position, name), _alike(name, like), -position, -index)
        for position, channel in enumerate(channels)
        for index, name in enumerate(volumes)
    ]
    found: list[int | None] = [None] * len(channels)
    for score, _alikeness, position, index in sorted(scored, reverse=True):
        if score and found[-position] is None and -index not in found:
            found[-position] = -index
    return tuple(_withTheLastOne(found, len(volumes)))


def _withTheLastOne(found: list[int | None], volumes: int) -> list[int | None]:
    """Where one channel is open and one volume is left, they belong together."""
    left = [index for index in range(volumes) if index not in found]
    if found.count(None) == 1 and len(left) == 1:
        found[found.index(None)] = left[0]
    return found


def _score(channel: str, position: int, volume: str) -> int:
    wanted, given = _words(channel), _words(volume)
    if channel and channel.strip().lower() == volume.strip().lower():
        return 4
    if kindOf(channel):
        return 3 if kindOf(channel) == kindOf(volume) else _numberFits(position, volume)
    if wanted and wanted <= given:
        return 2
    return _numberFits(position, volume)


def _numberFits(position: int, volume: str) -> int:
    found = _NUMBERED.match(_stem(volume))
    return int(found is not None and int(found["number"]) == position)


def _alike(name: str, other: str) -> int:
    pairs = zip(name.lower(), other.lower(), strict=False)
    return sum(1 for _pair in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _stem(name: str) -> str:
    return re.sub(r"\.(nii|nrrd|mha|mhd|gz|nhdr|seg)\b", "", name.strip(), flags=re.IGNORECASE)


def _words(name: str) -> frozenset[str]:
    """Return the parts of a name, also joined with their neighbors: "T1 Gd" holds "t1gd"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _stem(name))
    parts = re.findall(r"[a-z]+\d*|\d+", spaced.replace("+C", " c").replace("*", "star").lower())
    joined = re.findall(r"[a-z0-9]+", _stem(name).lower().replace("*", "star"))
    pairs = [first + second for first, second in itertools.pairwise(parts)]
    return frozenset((*parts, *joined, *pairs))
