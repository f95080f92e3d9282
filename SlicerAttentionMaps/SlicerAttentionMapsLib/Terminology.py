"""Standard codes and colors of what networks segment, found by the names of their classes."""

import re
from dataclasses import dataclass

import slicer

_CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
_ANATOMY = ("123037004", "Anatomical Structure")
_ALTERED = ("49755003", "Morphologically Altered Structure")
_SPELLINGS = {"tumour": "tumor", "oedema": "edema", "necrotic": "necrosis", "left": "", "right": ""}
_SYNONYMS = {"tumor": "mass", "neoplasm": "mass", "lesion": "mass", "nodule": "mass"}
_SIDES = {"left": ("7771000", "Left"), "right": ("24028007", "Right")}
# A terminology's way of saying that it recommends none.
_NO_COLOR = (127, 127, 127)


@dataclass(frozen=True)
class Term:
    """What a segment is.

    Attributes:
        category: (code, meaning) in SNOMED CT.
        type: (code, meaning) in SNOMED CT.
        color: recommended (red, green, blue) 0..1.
        sided: whether it is there twice, left and right.
    """

    category: tuple[str, str]
    type: tuple[str, str]
    color: tuple[float, float, float]
    sided: bool = False

    def entry(self, side: str = "") -> str:
        """Return it as Slicer writes it into a segment's tag; side is "left", "right" or ""."""
        modifier = _SIDES.get(side, ("", "")) if self.sided else ("", "")
        codes = (self.category, self.type, modifier)
        parts = [f"SCT^{code}^{meaning}" if code else "^^" for code, meaning in codes]
        return "~".join([_CONTEXT, *parts, "", "^^", "^^"])


def _term(category, code: str, meaning: str, rgb, *, sided: bool = False) -> Term:
    return Term(category, (code, meaning), tuple(part / 255 for part in rgb), sided)


# For scripts without the application, whose own terminologies hold far more.
_COMMON = {
    term.type[1].lower(): term
    for term in (
        _term(_ANATOMY, "12738006", "Brain", (250, 250, 225)),
        _term(_ANATOMY, "10200004", "Liver", (221, 130, 101)),
        _term(_ANATOMY, "78961009", "Spleen", (157, 108, 162)),
        _term(_ANATOMY, "80891009", "Heart", (206, 110, 84)),
        _term(_ANATOMY, "15776009", "Pancreas", (249, 180, 111)),
        _term(_ANATOMY, "41216001", "Prostate", (230, 158, 140)),
        _term(_ANATOMY, "64033007", "Kidney", (185, 102, 83), sided=True),
        _term(_ANATOMY, "39607008", "Lung", (197, 165, 145), sided=True),
        _term(_ALTERED, "4147007", "Mass", (144, 238, 144)),
        _term(_ALTERED, "79654002", "Edema", (140, 224, 228)),
        _term(_ALTERED, "6574001", "Necrosis", (216, 191, 216)),
    )
}


def termOf(className: str) -> Term | None:
    """Return what a class is; None where its name is not in the terminology."""
    words = _words(className)
    plain = " ".join(part for part in (_SPELLINGS.get(word, word) for word in words) if part)
    known = _ofApplication() or _COMMON
    for name in (plain, plain.removesuffix("s"), _SYNONYMS.get(plain.removesuffix("s"))):
        if name in known:
            return known[name]
    return None


def tagSegments(segmentationNode) -> None:
    """Write standard codes into the segments of a segmentation, by their names."""
    segmentation = segmentationNode.GetSegmentation()
    tagName = slicer.vtkSegment.GetTerminologyEntryTagName()
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        term = termOf(segment.GetName())
        if term is not None:
            side = next((word for word in _words(segment.GetName()) if word in _SIDES), "")
            segment.SetTag(tagName, term.entry(side))


def _words(className: str) -> list[str]:
    return re.findall(r"[a-z]+", className.lower())


def _ofApplication() -> dict[str, Term]:
    """Return Slicer's default terminology by name; empty outside of the application."""
    module = getattr(getattr(slicer, "modules", None), "terminologies", None)
    if module is None or not module.logic().IsTerminologyContextLoaded(_CONTEXT):
        return {}
    if not _cache:
        _cache.update(_readTerminology(module.logic()))
    return _cache


_cache: dict[str, Term] = {}


def _readTerminology(logic) -> dict[str, Term]:
    terms: dict[str, Term] = {}
    for category in _categories(logic):
        pair = (category.GetCodeValue(), category.GetCodeMeaning())
        for entry in _types(logic, category):
            sided = bool(entry.GetHasModifiers())
            color = _colorOf(logic, category, entry)
            term = _term(pair, entry.GetCodeValue(), entry.GetCodeMeaning(), color, sided=sided)
            for name in (entry.GetSlicerLabel(), entry.GetCodeMeaning()):
                terms.setdefault((name or term.type[1]).lower(), term)
    return terms


def _categories(logic):
    for index in range(logic.GetNumberOfCategoriesInTerminology(_CONTEXT)):
        category = slicer.vtkSlicerTerminologyCategory()
        logic.GetNthCategoryInTerminology(_CONTEXT, index, category)
        yield category


def _types(logic, category):
    for index in range(logic.GetNumberOfTypesInTerminologyCategory(_CONTEXT, category)):
        entry = slicer.vtkSlicerTerminologyType()
        logic.GetNthTypeInTerminologyCategory(_CONTEXT, category, index, entry)
        yield entry


def _colorOf(logic, category, entry) -> tuple:
    """Return a type's recommended color 0..255; of what has two sides that of the first."""
    color = tuple(entry.GetRecommendedDisplayRGBValue())
    if color != _NO_COLOR or not entry.GetHasModifiers():
        return color
    modifier = slicer.vtkSlicerTerminologyType()
    logic.GetNthTypeModifierInTerminologyType(_CONTEXT, category, entry, 0, modifier)
    return tuple(modifier.GetRecommendedDisplayRGBValue())
