"""Standard codes and colors of segments, by the names of classes."""

import pytest

from slicer_places import PLACES, addVolume, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

from SlicerAttentionMapsLib import ResultNodes, Terminology

pytestmark = pytest.mark.slicer


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("brain", "12738006"),
        ("Liver", "10200004"),
        ("left_kidney", "64033007"),
        ("Kidneys", "64033007"),
        ("lung (right)", "39607008"),
        ("tumour", "4147007"),
        ("Lesions", "4147007"),
        ("oedema", "79654002"),
        ("necrotic", "6574001"),
    ],
)
def test_names_as_people_write_them(name, code):
    assert Terminology.termOf(name).type[0] == code


@pytest.mark.parametrize("name", ["nothing", "class 1", "", "1", "left", "brainy"])
def test_other_names_have_no_code(name):
    assert Terminology.termOf(name) is None


def test_entry_is_what_slicer_writes():
    context = "Segmentation category and type - 3D Slicer General Anatomy list"
    assert Terminology.termOf("brain").entry() == (
        f"{context}~SCT^123037004^Anatomical Structure~SCT^12738006^Brain~^^~~^^~^^"
    )
    assert Terminology.termOf("right lung").entry("right") == (
        f"{context}~SCT^123037004^Anatomical Structure~SCT^39607008^Lung~SCT^24028007^Right~~^^~^^"
    )
    assert Terminology.termOf("liver").entry("left") == Terminology.termOf("liver").entry()


def test_answer_has_codes_and_colors(scene, logic, network):
    scan = addVolume(scene, spot(), PLACES["nested"])
    spec = {"class_names": ["nothing", "brain", "left kidney"], "task": "segmentation"}
    overlay = logic.explain(scan, network, layer="features", target=2, spec=spec)
    segmentation = overlay.GetNodeReference("AttentionMaps.Answer").GetSegmentation()
    segment = segmentation.GetNthSegment(0)
    assert segment.GetName() == "left kidney"
    assert segment.GetColor() == pytest.approx((185 / 255, 102 / 255, 83 / 255))
    assert segment.GetTerminology().endswith("SCT^64033007^Kidney~SCT^7771000^Left~~^^~^^")


def test_no_two_classes_get_one_color():
    colors = ResultNodes.classColors({1: "tumor", 2: "lesion", 3: "something"})
    assert colors[1] == pytest.approx((144 / 255, 238 / 255, 144 / 255))
    assert len(set(colors.values())) == 3
