"""Structures, hot spots, sweeps and trust reports: tables, boxes and plots of the scene."""

import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, SHAPE_IJK, blob
from slicer_places import NAMES, PLACES, addVolume, inVoxels, nodeIds, saveNetwork, spot

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import slicer

import attention_maps as am
from slicer_maps import addMap
from SlicerAttentionMapsLib import (
    HotSpotNodes,
    MapPlots,
    QuestionRecord,
    SceneFile,
    SweepTable,
    Tables,
    TrustTable,
    VolumeBridge,
)
from SlicerAttentionMapsLib.SceneSetup import nodesByClass
from SlicerAttentionMapsLib.WorkerSession import WorkerSession

pytestmark = [pytest.mark.slicer, pytest.mark.usefixtures("viewedScene")]
VALUES = blob(HOT) + 0.8 * blob(COLD)


def addTruth(scan):
    labels = np.zeros(SHAPE_IJK, np.uint8)
    labels[14:19, 7:12, 9:14] = 1
    labels[4:9, 20:25, 3:8] = 2
    segments = [(1, "here", (1, 0, 0)), (2, "there", (0, 1, 0))]
    return VolumeBridge.segmentationFromLabels(labels.T, scan, "Truth", segments), labels


@pytest.fixture
def mapNode(scan):
    return addMap(scan, VALUES)


def imageOf(place="nested") -> am.Image:
    return am.Image(VALUES[None].astype(np.float32), PLACES[place].world)


def test_structures_are_those_of_the_engine(logic, scan, mapNode):
    truth, labels = addTruth(scan)
    table = logic.structures(mapNode, truth)
    expected = am.evidence_table(imageOf(), {"here": (labels == 1), "there": (labels == 2)})
    rows = Tables.rowsOf(table)
    assert [row["Structure"] for row in rows] == ["here", "there", "outside all"]
    for row, item in zip(rows, expected, strict=True):
        for title, value in (
            ("Share", item.share), ("Volume", item.ml), ("Share per ml", item.share_per_ml),
            ("Mean", item.mean), ("Peak", item.peak), ("Concentration", item.concentration),
        ):  # fmt: skip
            assert row[title] == pytest.approx(value, rel=1e-5)
    assert table.GetName() == "Scan | tumor | Grad-CAM | enc.1 | structures"
    assert table.GetColumnUnitLabel("Volume") == "ml"
    second = truth.GetSegmentation().GetNthSegmentID(1)
    alone = Tables.rowsOf(logic.structures(mapNode, truth, [second]))
    assert [row["Structure"] for row in alone] == ["there", "outside all"]
    chart = logic.plotTable(table, "Share per ml")
    series = chart.GetNthPlotSeriesNode(0)
    assert series.GetPlotType() == series.PlotTypeBar
    column = series.GetTableNode().GetTable().GetColumnByName("Share per ml")
    assert column.GetValue(0) == pytest.approx(expected[0].share_per_ml, rel=1e-5)


@pytest.mark.parametrize("placeName", PLACES)
def test_boxes_hold_their_spots_wherever_the_map_is(scene, logic, placeName):
    place = PLACES[placeName]
    node = addMap(addVolume(scene, spot(), place), VALUES)
    table = logic.hotSpots(node, 0.5)
    expected = am.hot_spots(imageOf(placeName), 0.5)
    boxes = logic.boxesOf(table)
    assert len(boxes) == len(expected) == 2
    for box, found, center in zip(boxes, expected, (HOT, COLD), strict=True):
        middle = [0.0] * 3
        box.GetCenterWorld(middle)
        np.testing.assert_allclose(middle, found.center_ras, atol=1e-3)
        np.testing.assert_allclose(box.GetSize(), found.size_mm, atol=1e-3)
        assert inVoxels(np.array(middle) - place.worldOf(center), place) < 0.01
        lower, upper = (np.array(side) for side in found.bounds)
        part = VALUES[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))] > 0.5
        for index in np.argwhere(part) + lower:
            for corner in np.ndindex(2, 2, 2):
                point = place.worldOf(index + 0.499 * (2 * np.array(corner) - 1))
                assert box.IsPointInROIWorld(list(point))
        size = " x ".join(f"{length:.1f}" for length in found.size_mm)
        assert box.GetName() == f"Hot spot {found.number}: {size} mm"


def test_the_table_of_hot_spots_tells_where_they_are_and_what_they_overlap(logic, scan, mapNode):
    truth, _ = addTruth(scan)
    table = logic.hotSpots(mapNode, 0.5, segmentationNode=truth)
    rows = Tables.rowsOf(table)
    spots = am.hot_spots(imageOf(), 0.5)
    for row, found in zip(rows, spots, strict=True):
        assert row["Peak"] == pytest.approx(found.peak)
        assert row["Volume"] == pytest.approx(found.ml)
        assert row["Share"] == pytest.approx(found.share, rel=1e-5)
        np.testing.assert_allclose([row[f"Peak {axis}"] for axis in "RAS"], found.peak_ras, 1e-4)
    assert (rows[0]["In here"], rows[0]["In there"]) == (1.0, 0.0)
    assert logic.hotSpots(mapNode, 0.5, most=1).GetNumberOfRows() == 1
    assert logic.hotSpots(mapNode, 0.5, minimumMl=1e3).GetNumberOfRows() == 0
    alone = logic.hotSpots(mapNode, "otsu+largest")
    assert alone.GetNumberOfRows() == 1


@pytest.mark.parametrize("sign", ["positive", "negative", "absolute"])
def test_evidence_against_is_measured_as_the_engine_does(logic, session, scan, sign):
    overlay = addMap(scan, blob(HOT) - 0.8 * blob(COLD), signed=True)
    values, masks = shownOf(overlay), masksOf(truth := addTruth(scan)[0])
    ids = list(truth.GetSegmentation().GetSegmentIDs())
    tables = [
        logic.evaluate(overlay, truth, ids, ["energy_inside"], sign=sign),
        logic.structures(overlay, truth, sign=sign),
        logic.hotSpots(overlay, 0.5, sign=sign),
    ]
    scores = am.evaluate(values, masks, ["energy_inside"], sign=sign)
    shares = [row.share for row in am.evidence_table(values, masks, sign=sign)]
    peaks = [spot.peak for spot in am.hot_spots(values, 0.5, sign=sign)]
    assert columnOf(tables[0], "Energy inside") == [s["energy_inside"] for s in scores.values()]
    assert columnOf(tables[1], "Share") == shares
    assert columnOf(tables[2], "Peak") == peaks
    ending = {"negative": " (against)", "absolute": " (for and against)"}.get(sign, "")
    whats = ("metrics", "structures", "hot spots")
    for table, what in zip(tables, whats, strict=True):
        assert table.GetName().endswith(f" | {what}{ending}")
    asked = [
        session.evaluate([overlay], truth, ids, ["energy_inside"], options={"sign": sign}),
        session.structures(overlay, truth, sign=sign),
        session.hotSpots(overlay, 0.5, sign=sign),
    ]
    for question, table in zip(asked, tables, strict=True):
        assert Tables.rowsOf(finish(session, question).result) == Tables.rowsOf(table)


def test_reports_tell_what_speaks_for_the_answer(logic, scan, names, tmp_path):
    overlay = logic.explain(scan, names, layer="features", method="hires_cam", target="tumor")
    truth = addTruth(scan)[0]
    logic.structures(overlay, truth)
    logic.structures(overlay, truth, sign="negative")
    logic.saveReport(tmp_path / "case.json", [overlay], truth)
    written = json.loads((tmp_path / "case.json").read_text(encoding="utf-8"))
    rows = am.evidence_table(shownOf(overlay), masksOf(truth))
    assert [row["share"] for row in written["evidence"]] == pytest.approx([r.share for r in rows])


def test_reports_know_maps_by_their_nodes_and_not_by_their_names(logic, scan, tmp_path):
    truth = addTruth(scan)[0]
    ids, first = list(truth.GetSegmentation().GetSegmentIDs()), addMap(scan, VALUES)
    name = first.GetName()
    logic.evaluate(first, truth, ids, ["dice"])
    logic.rename(first, "Another name")
    second = addMap(scan, blob(COLD))
    second.SetName(name)

    def written(mapNode) -> list:
        logic.saveReport(tmp_path / "case.json", [mapNode], truth)
        return json.loads((tmp_path / "case.json").read_text(encoding="utf-8"))["scores"]

    expected = [s["dice"] for s in am.evaluate(imageOf(), masksOf(truth), ["dice"]).values()]
    assert [row["dice"] for row in written(first)] == pytest.approx(expected)
    assert not any("dice" in row for row in written(second))


def columnOf(table, title: str) -> list:
    return [row[title] for row in Tables.rowsOf(table)]


def test_boxes_lie_in_one_folder(scene, logic, mapNode):
    table = logic.hotSpots(mapNode, 0.5)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = [hierarchy.GetItemByDataNode(box) for box in logic.boxesOf(table)]
    folders = {hierarchy.GetItemParent(item) for item in items}
    assert len(folders) == 1
    assert hierarchy.GetItemName(next(iter(folders))) == table.GetName()


def test_a_box_that_fails_takes_all_with_it(scene, logic, mapNode, monkeypatch):
    before, calls = nodeIds(scene), []
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    count = hierarchy.GetNumberOfItems()
    placeBox = HotSpotNodes.placeBox

    def second(*arguments) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise RuntimeError("The scene refuses.")
        placeBox(*arguments)

    monkeypatch.setattr(HotSpotNodes, "placeBox", second)
    with pytest.raises(RuntimeError, match="refuses"):
        logic.hotSpots(mapNode, 0.5)
    assert nodeIds(scene) == before
    assert hierarchy.GetNumberOfItems() == count


@pytest.mark.parametrize("action", ["structures", "hotSpots"])
def test_what_is_wrong_is_said_and_nothing_is_added(scene, logic, scan, mapNode, action):
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    before = nodeIds(scene)
    ask = {"structures": logic.structures, "hotSpots": hotSpotsIn(logic)}[action]
    with pytest.raises(am.TargetError, match="'Empty' has no segments"):
        ask(mapNode, empty)
    with pytest.raises(am.MethodError, match="Expected the threshold"):
        logic.hotSpots(mapNode, "li")
    assert nodeIds(scene) == before


def hotSpotsIn(logic):
    return lambda mapNode, truth: logic.hotSpots(mapNode, segmentationNode=truth)


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> str:
    path = saveNetwork(tmp_path_factory.mktemp("named") / "named.pt")
    Path(path).with_suffix(".json").write_text(json.dumps(NAMES), encoding="utf-8")
    return path


@pytest.fixture
def session():
    session = WorkerSession(sys.executable, {"OMP_NUM_THREADS": "1"})
    yield session
    session.close()


def finish(session, question):
    until = time.monotonic() + 120
    while not question.done and time.monotonic() < until:
        session.poll(0.02)
    assert question.done, session.log()
    return question


def test_the_worker_makes_the_same_tables(scene, logic, session, scan, mapNode, names):
    truth, _ = addTruth(scan)
    mine = finish(session, session.structures(mapNode, truth)).result
    assert Tables.rowsOf(mine) == Tables.rowsOf(logic.structures(mapNode, truth))
    question = session.hotSpots(mapNode, 0.5, most=1, segmentationNode=truth)
    mine = finish(session, question).result
    theirs = logic.hotSpots(mapNode, 0.5, most=1, segmentationNode=truth)
    assert Tables.rowsOf(mine) == Tables.rowsOf(theirs)
    session.choose([scan], names)
    asked = {"methods": ["grad_cam", "hires_cam"], "metrics": ["iou", "dice"], "threshold": 0.4}
    mine = finish(session, session.sweep("tumor", truth, **asked)).result
    theirs = logic.sweep(scan, names, "tumor", segmentationNode=truth, **asked)
    for one, other in zip(Tables.rowsOf(mine), Tables.rowsOf(theirs), strict=True):
        assert one == pytest.approx(other, nan_ok=True)
    assert logic.best(mine, "iou", "here") == logic.best(theirs, "iou", "here")


def test_a_sweep_knows_its_best_and_shows_it(scene, logic, scan, names):
    truth, _ = addTruth(scan)
    table = logic.sweep(
        scan, names, "tumor", segmentationNode=truth, methods=["grad_cam", "hires_cam"]
    )
    rows = Tables.rowsOf(table)
    assert {row["Segment"] for row in rows} == {"here", "there"}
    assert [row["Method"] for row in rows[:4:2]] == ["Grad-CAM", "HiResCAM"]
    assert table.GetColumnUnitLabel("Peak distance") == "mm"
    best = logic.best(table, "peak_distance", "here")
    values = [row["Peak distance"] for row in rows if row["Segment"] == "here"]
    assert best["peak_distance"] == pytest.approx(np.nanmin(values), abs=1e-5)
    overlay = logic.showBest(table, "energy_inside", "here")
    record = QuestionRecord.of(overlay)
    assert (record.target, record.method) == ("tumor", logic.best(table, "energy_inside")["method"])
    assert logic.shownMaps() == [overlay]
    chart = logic.plotTable(table, "IoU")
    assert chart.GetTitle() == "IoU over layers"
    with pytest.raises(am.MethodError, match="Expected a metric of the sweep"):
        logic.best(table, "nonsense")
    with pytest.raises(ValueError, match="Expected the table of a sweep"):
        logic.best(logic.structures(overlay, truth), "iou")


def test_pictures_are_swept_and_tested_too(scene, logic, session, tmp_path):
    flat = saveNetwork(tmp_path / "flat.pt", dimensions=2)
    picture = addVolume(scene, spot((12, 4, 0), (20, 18, 1)), PLACES["nested"], "Picture")
    labels = np.zeros((20, 18, 1), np.uint8)
    labels[11:14, 3:6] = 1
    truth = VolumeBridge.segmentationFromLabels(labels.T, picture, "T", [(1, "a", (1, 0, 0))])
    asked = {"methods": ["hires_cam"], "metrics": ["energy_inside", "dice"]}
    table = logic.sweep(picture, flat, 2, segmentationNode=truth, **asked)
    rows = Tables.rowsOf(table)
    assert max(row["Energy inside"] for row in rows) == pytest.approx(1.0)
    session.choose([picture], flat)
    mine = finish(session, session.sweep(2, truth, **asked))
    assert mine.error is None, mine.error
    for one, other in zip(Tables.rowsOf(mine.result), rows, strict=True):
        assert one == pytest.approx(other, nan_ok=True)
    overlay = logic.showBest(table, "energy_inside")
    assert logic.findings(logic.trust(overlay, ["deletion"]))[0]["test"] == "deletion"
    assert logic.hotSpots(overlay, 0.5).GetNumberOfRows() == 1
    logic.saveReport(tmp_path / "picture.html", [overlay], truth)


def test_a_heat_map_is_a_picture(logic, scan, names, tmp_path):
    table = logic.sweep(scan, names, "tumor", methods=["grad_cam", "hires_cam"])
    logic.heatMap(table, "entropy", tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


TESTS = ["deletion", "randomization"]


def test_trust_of_a_map_asks_its_own_question(scene, logic, session, scan, names):
    overlay = logic.explain(scan, names, layer="features", method="hires_cam", target="tumor")
    table = logic.trust(overlay, TESTS)
    expected = logic.session([scan], names).explainer.trust(
        "hires_cam", "features", "tumor", tests=TESTS
    )
    assert [item["sentence"] for item in logic.findings(table)] == [
        item.sentence for item in expected.findings
    ]
    rows = Tables.rowsOf(table)
    assert [row["Verdict"] for row in rows] == [item.verdict for item in expected.findings]
    assert TrustTable.mapOf(table) is overlay
    chart = logic.plotTable(table, "deletion")
    curves = expected.finding("deletion").curves
    assert chart.GetNumberOfPlotSeriesNodes() == 4  # map and random maps, for both baselines
    assert [chart.GetNthPlotSeriesNode(n).GetName() for n in range(2)] == [
        "map, blurred", "random maps, blurred",
    ]  # fmt: skip
    assert chart.GetXAxisTitle() == "share of voxels replaced"  # by two baselines
    series = chart.GetNthPlotSeriesNode(0)
    drawn = series.GetTableNode().GetTable()
    ys = drawn.GetColumnByName(series.GetYColumnName())
    assert [ys.GetValue(n) for n in range(len(curves[0].y))] == pytest.approx(list(curves[0].y))
    xs = drawn.GetColumnByName(series.GetXColumnName())
    assert [xs.GetValue(n) for n in range(len(curves[0].x))] == pytest.approx(list(curves[0].x))
    record = QuestionRecord.of(overlay)
    session.choose(list(record.volumeNodes), record.modelPath, record.spec)
    progress = []
    question = session.trust(
        overlay, record, TESTS, onProgress=lambda fraction, _: progress.append(fraction)
    )
    mine = finish(session, question)
    assert mine.error is None, mine.error
    assert [row["Finding"] for row in Tables.rowsOf(mine.result)] == [
        row["Finding"] for row in rows
    ]
    assert progress == sorted(progress)
    assert len(progress) > 2


def test_a_map_that_goes_while_it_is_tested(scene, logic, session, scan, names):
    overlay = logic.explain(scan, names, layer="features", target="tumor")
    record, errors = QuestionRecord.of(overlay), []
    session.choose([scan], names)
    question = session.trust(overlay, record, ["deletion"], onError=errors.append)
    logic.remove(overlay)
    before = nodeIds(scene)
    session.poll()
    assert question.done  # nobody waits for what has no place to go
    assert "was removed while it was measured" in str(errors[0])
    assert nodeIds(scene) == before


def test_maps_of_others_and_of_unknown_questions_say_so(logic, scan, mapNode):
    with pytest.raises(am.ImageError, match="is not kept with it; explain it again"):
        logic.trust(mapNode)


QUESTIONS = {
    "class": "tumor",
    "contrast": {"kind": "contrast", "name": "tumor", "other": None},
    "point": {"kind": "point", "name": None, "ras": (1.0, 2.5, -3.0)},
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions_are_kept_with_maps(scene, logic, scan, names, name):
    target = QUESTIONS[name]
    if name == "point":
        target = {**target, "ras": tuple(PLACES["nested"].worldOf(HOT))}
    overlay = logic.explain(scan, names, layer="features", target=target)
    record = QuestionRecord.of(overlay)
    if isinstance(target, dict):
        target = json.loads(json.dumps(target))
    assert record.target == pytest.approx(target) if name != "point" else True
    assert record.modelPath == names
    assert record.volumeNodes == (scan,)
    again = logic.explain(scan, names, "features", target=record.target)
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(overlay)
    )


def test_regions_and_several_volumes_are_kept(scene, logic, tmp_path):
    two = saveNetwork(tmp_path / "two.pt", channels=2)
    scans = [addVolume(scene, spot(), PLACES["LPS"], name) for name in "ab"]
    truth, labels = addTruth(scans[0])
    segment = truth.GetSegmentation().GetNthSegmentID(0)
    overlay = logic.explain(
        scans, two, layer="features", method="hires_cam", target=(truth, segment), className=1
    )
    record = QuestionRecord.of(overlay)
    assert record.volumeNodes == tuple(scans)
    assert record.target["place"] == "here"
    assert record.target["mask"].array.sum() == (labels == 1).sum()
    assert len(overlay.GetAttribute(QuestionRecord.ATTRIBUTE)) < 2000
    again = logic.explain(scans, two, "features", "hires_cam", record.target)
    np.testing.assert_array_equal(
        slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(overlay)
    )
    scene.RemoveNode(scans[1])
    with pytest.raises(am.ImageError, match="was removed; load it"):
        QuestionRecord.of(overlay)


def test_consent_is_never_kept(logic, scan, names):
    overlay = logic.explain(scan, names, layer="features", target="tumor", trust=True)
    assert "trust" not in overlay.GetAttribute(QuestionRecord.ATTRIBUTE)
    assert QuestionRecord.of(overlay).options == {}


def test_layers_of_one_map_keep_their_questions(logic, scan, names):
    overlays = logic.explain(scan, names, layer="all", target="tumor")
    stacked = logic.layerSequence(overlays)
    for name in logic.layers(stacked):
        logic.showLayer(stacked, name)
        record = QuestionRecord.of(stacked)
        assert record.layer == name
        assert record.volumeNodes == (scan,)


def test_a_saved_scene_keeps_all_of_it(scene, logic, scan, names, tmp_path):
    truth, _ = addTruth(scan)
    overlay = logic.explain(scan, names, layer="features", method="hires_cam", target="tumor")
    logic.evaluate(overlay, truth, [truth.GetSegmentation().GetNthSegmentID(1)])
    logic.hotSpots(overlay, 0.5, segmentationNode=truth)
    logic.sweep(scan, names, "tumor", segmentationNode=truth, methods=["hires_cam"])
    logic.plotTable(logic.trust(overlay, ["deletion"]))
    SceneFile.saveScene(scene, tmp_path / "scene.mrb")
    loaded = SceneFile.loadScene(tmp_path / "scene.mrb")
    there = type(logic)(loaded.scene)
    kinds = [Tables.kindOf(node) for node in there.tables()]
    assert kinds == ["metrics", "hot spots", "sweep", "trust"]
    for mine, theirs in zip(logic.tables(), there.tables(), strict=True):
        assert Tables.titles(mine) == Tables.titles(theirs)
        assert Tables.numberTitles(mine) == Tables.numberTitles(theirs)
        for one, other in zip(Tables.columnsOf(mine), Tables.columnsOf(theirs), strict=True):
            same = one.values if one.isText else pytest.approx(one.values, rel=1e-5, nan_ok=True)
            assert other.values == same
            assert (other.unit, other.description) == (one.unit, one.description)
    _metrics, spots, sweep, trust = there.tables()
    assert [box.GetName() for box in there.boxesOf(spots)] == [
        box.GetName() for box in logic.boxesOf(logic.tables()[1])
    ]
    assert there.best(sweep, "energy_inside") == logic.best(logic.tables()[2], "energy_inside")
    assert there.findings(trust) == logic.findings(logic.tables()[3])
    mapNode = there.maps()[0]
    assert TrustTable.mapOf(trust) is mapNode
    assert QuestionRecord.of(mapNode).target == "tumor"
    there.trust(mapNode, ["deletion"])
    there.saveReport(tmp_path / "again.json", [mapNode])
    assert len(nodesByClass(loaded.scene, "vtkMRMLPlotChartNode")) == 1


def test_a_report_holds_what_was_measured(logic, scan, names, tmp_path):
    truth, _ = addTruth(scan)
    overlay = logic.explain(scan, names, layer="features", method="hires_cam", target="tumor")
    both = [truth.GetSegmentation().GetNthSegmentID(n) for n in (0, 1)]
    logic.evaluate(overlay, truth, both, threshold="quantile:0.9")
    logic.structures(overlay, truth)
    logic.hotSpots(overlay, 0.5)
    logic.sweep(scan, names, "tumor", methods=["hires_cam"])
    logic.trust(overlay, ["deletion"])
    logic.saveReport(tmp_path / "case.html", [overlay], truth, title="One case")
    page = (tmp_path / "case.html").read_text(encoding="utf-8")
    for words in (
        "One case",
        "Scan",
        "here",
        "Deletion",
        "Hot spots",
        "quantile:0.9",
        "data:image/",
    ):
        assert words in page, words
    logic.saveReport(tmp_path / "case.xlsx", [overlay], truth)
    assert (tmp_path / "case.xlsx").stat().st_size > 4000
    logic.saveReport(tmp_path / "case.json", [overlay], truth)
    written = json.loads((tmp_path / "case.json").read_text(encoding="utf-8"))
    table = am.evaluate(shownOf(overlay), masksOf(truth)["here"], ["dice"], "quantile:0.9")
    rows = [row for row in written["scores"] if row["label"] == "here"]
    assert rows[0]["dice"] == pytest.approx(table["dice"], rel=1e-6)
    with pytest.raises(am.ImageError, match="ends in"):
        logic.saveReport(tmp_path / "case.doc", [overlay])


def shownOf(node) -> am.Image:
    from SlicerAttentionMapsLib.StructureTable import imageOf as shown

    return shown(node)


def masksOf(truth) -> dict:
    from SlicerAttentionMapsLib.StructureTable import masksOf as found

    return found(truth)


@pytest.mark.parametrize("ending", [".csv", ".xlsx", ".json"])
def test_tables_of_every_kind_are_written(logic, scan, mapNode, ending, tmp_path):
    truth, _ = addTruth(scan)
    for table in (logic.structures(mapNode, truth), logic.hotSpots(mapNode, 0.5)):
        path = tmp_path / f"{Tables.kindOf(table)}{ending}"
        logic.exportTable(table, path)
        rows = Tables.rowsOf(table)
        if ending == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                read = list(csv.DictReader(file))
            headings = [column.heading for column in Tables.columnsOf(table)]
            assert [list(row) for row in read] == [headings] * len(rows)
        elif ending == ".json":
            assert len(json.loads(path.read_text("utf-8"))[Tables.kindOf(table)]) == len(rows)
        else:
            assert path.read_bytes().startswith(b"PK")


def test_names_are_no_formulas(scan, tmp_path):
    column = Tables.Column("Name", ("=1+1", "plain"))
    table = Tables.addTable([column], scan, "T", Tables.METRICS)
    Tables.exportTable(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").splitlines() == [
        "Name", "'=1+1", "plain",
    ]  # fmt: skip


def test_lines_of_a_plot_differ(scene, scan):
    found = {name: [0.5, 0.7] for name in am.methods()}
    rows = [
        {"layer": f"l{n}", "method": name, "label": "", "reason": "", "dice": values[n]}
        for n in range(2)
        for name, values in found.items()
    ]
    swept = {"metrics": ["dice"], "labels": [], "rows": rows, "provenance": {"target": "tumor"}}
    table = SweepTable.addTable(swept, scan, QuestionRecord.Record((scan,), "model.pt"))
    chart = MapPlots.addChart(table)
    count = chart.GetNumberOfPlotSeriesNodes()
    assert count == len(found) > 2 * 8
    lines = [chart.GetNthPlotSeriesNode(n) for n in range(16)]
    assert len({(line.GetColor(), line.GetLineStyle()) for line in lines}) == 16
    lowest, highest = chart.GetYAxisRange()
    assert lowest == 0
    assert highest > 2 * 0.7  # the legend takes half of it


def test_what_cannot_be_plotted_says_so(logic, scan, mapNode):
    none = logic.hotSpots(mapNode, 0.5, minimumMl=1e3)
    with pytest.raises(ValueError, match="no numbers"):
        logic.plotTable(none)
    truth, _ = addTruth(scan)
    table = logic.structures(mapNode, truth)
    with pytest.raises(ValueError, match="Expected a column with numbers"):
        logic.plotTable(table, "nonsense")
    assert MapPlots.addChart(table).GetTitle() == "Share"


def test_many_layers_are_not_all_named_below_the_plot(scan):
    layers = [f"enc.{n}" for n in range(40)]
    rows = [
        {"layer": name, "method": "grad_cam", "size": "", "label": "", "entropy": n / 40,
         "reason": ""}
        for n, name in enumerate(layers)
    ]  # fmt: skip
    found = {
        "rows": rows, "layers": layers, "methods": ["grad_cam"], "labels": [],
        "metrics": ["entropy"], "provenance": {"target": "tumor"},
    }  # fmt: skip
    table = SweepTable.addTable(found, scan, QuestionRecord.Record((scan,), "model.pt"))
    assert table.GetName() == "Scan | tumor | sweep"
    chart = MapPlots.addChart(table, "Entropy")
    assert chart.GetXAxisTitle() == "Layer: 0 enc.0   ...   39 enc.39"
