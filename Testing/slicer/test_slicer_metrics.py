"""Tables of metrics: from the logic and from the worker, in files and as plots."""

import csv
import errno
import math
import time

import numpy as np
import pytest

from slicer_phantom import COLD, HOT, SHAPE_IJK, blob
from slicer_places import PLACES, nodeIds

pytest.importorskip("slicer", reason="slicer-core is not installed", exc_type=ImportError)

import attention_maps as am
from slicer_maps import addMap
from SlicerAttentionMapsLib import MapPlots, MetricsTable, PlotData, Tables, VolumeBridge
from SlicerAttentionMapsLib.MetricsTable import Row
from SlicerAttentionMapsLib.SceneSetup import nodesByClass

pytestmark = pytest.mark.slicer


@pytest.fixture
def truth(scan):
    labels = np.zeros(SHAPE_IJK, np.uint8)
    labels[14:19, 7:12, 9:14] = 1
    labels[4:9, 20:25, 3:8] = 2
    segments = [(1, "here", (1, 0, 0)), (2, "there", (0, 1, 0))]
    return VolumeBridge.segmentationFromLabels(labels.T, scan, "Truth", segments)


@pytest.fixture
def maps(scan, logic):
    layers = [
        addMap(scan, blob(HOT), layer="enc.1"),
        addMap(scan, blob(HOT) + blob(COLD), layer="enc.2"),
    ]
    signed = addMap(scan, blob(HOT) - blob(COLD), method_label="HiResCAM", signed=True)
    return [logic.layerSequence(layers), signed]


def segmentIds(node) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]


def masks() -> dict[str, np.ndarray]:
    found = {name: np.zeros(SHAPE_IJK, bool) for name in ("here", "there")}
    found["here"][14:19, 7:12, 9:14] = True
    found["there"][4:9, 20:25, 3:8] = True
    return found


def expectedRows(threshold) -> list[Row]:
    """Return what the engine says of the same arrays."""
    arrays = {
        ("Grad-CAM", "enc.1"): blob(HOT),
        ("Grad-CAM", "enc.2"): blob(HOT) + blob(COLD),
        ("HiResCAM", "enc.1"): blob(HOT) - blob(COLD),
    }
    rows = []
    for (method, layer), array in arrays.items():
        image = am.Image(array[None].astype(np.float32), PLACES["nested"].world)
        for name, mask in masks().items():
            values = am.evaluate(image, mask, threshold=threshold)
            labels = {am.metrics()[key].label: value for key, value in values.items()}
            rows.append(Row(("", name, "tumor", method, layer), labels))
    return rows


def requireSame(table, expected: list[Row]) -> None:
    rows = MetricsTable.rowsOf(table)
    assert [row.texts[1:] for row in rows] == [row.texts[1:] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert row.values == pytest.approx(other.values, rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("threshold", ["otsu", 0.3])
def test_every_layer_and_segment_has_a_row(logic, maps, truth, threshold):
    table = logic.evaluate(maps, truth, segmentIds(truth), threshold=threshold)
    requireSame(table, expectedRows(threshold))
    assert [row.texts[0] for row in MetricsTable.rowsOf(table)[::2]] == [
        "Scan | tumor | Grad-CAM | enc.1",
        "Scan | tumor | Grad-CAM | enc.2",
        maps[1].GetName(),
    ]
    assert table.GetName() == "Attention maps | metrics"
    alone = logic.evaluate(maps[0], truth, segmentIds(truth))
    assert alone.GetName() == "Scan | tumor | Grad-CAM | metrics"


@pytest.fixture
def session():
    from SlicerAttentionMapsLib.WorkerSession import WorkerSession

    session = WorkerSession()
    yield session
    session.close()


def waitFor(session, question) -> None:
    until = time.monotonic() + 60
    while not question.done and time.monotonic() < until:
        session.poll(0.05)
    assert question.done


def test_worker_gives_the_same_table(session, maps, truth):
    progress = []
    question = session.evaluate(
        maps, truth, segmentIds(truth), threshold=0.3, onProgress=lambda *it: progress.append(it)
    )
    assert session.busy
    assert session.pending
    waitFor(session, question)
    requireSame(question.result, expectedRows(0.3))
    assert [fraction for fraction, _ in progress] == pytest.approx([n / 6 for n in range(6)])
    assert progress[1][1] == "Scan | tumor | Grad-CAM | enc.1"
    assert not session.busy


def test_failed_or_canceled_comparison_adds_nothing(scene, session, maps, truth):
    before, errors = nodeIds(scene), []
    waitFor(session, session.evaluate(maps, truth, ["nonsense"], onError=errors.append))
    assert "Segment 'nonsense' is not in 'Truth'" in str(errors[0])
    question = session.evaluate(maps, truth, segmentIds(truth), onError=errors.append)
    session.cancelQuestion(question)
    waitFor(session, question)
    assert isinstance(errors[1], am.Cancelled)
    waitFor(
        session,
        session.evaluate(maps, truth, segmentIds(truth), threshold=2.0, onError=errors.append),
    )
    assert "Expected the threshold to be 'otsu'" in str(errors[2])
    assert nodeIds(scene) == before
    question = session.evaluate(maps[1:], truth, segmentIds(truth)[:1])
    waitFor(session, question)
    assert question.result.GetNumberOfRows() == 1


def test_exported_numbers_are_whole(logic, maps, truth, tmp_path):
    table = logic.evaluate(maps, truth, segmentIds(truth))
    rows = MetricsTable.rowsOf(table)
    numbers = [column for column in Tables.columnsOf(table) if not column.isText]
    for name, delimiter in (("metrics.csv", ","), ("metrics.tsv", "\t")):
        logic.exportTable(table, tmp_path / name)
        with (tmp_path / name).open(newline="") as file:
            read = list(csv.DictReader(file, delimiter=delimiter))
        assert len(read) == len(rows)
        for found, row in zip(read, rows, strict=True):
            assert found["Map"] == row.texts[0]
            for column, value in zip(numbers, row.values.values(), strict=True):
                assert float(found[column.heading]) == pytest.approx(
                    value, rel=0, abs=0, nan_ok=True
                )
    with pytest.raises(ValueError, match=r"as \.csv, .* or \.json, but got 'metrics.xls'"):
        logic.exportTable(table, tmp_path / "metrics.xls")


def test_a_folder_that_may_not_be_written_is_told_in_words(
    logic, maps, truth, tmp_path, monkeypatch
):
    table = logic.evaluate(maps, truth, segmentIds(truth)[:1])
    with pytest.raises(FileNotFoundError, match=r"^Cannot write 'm.csv' in '.*': No such file"):
        logic.exportTable(table, tmp_path / "none" / "m.csv")
    with pytest.raises(FileNotFoundError, match=r"^Cannot write 'm.xlsx' .*; create it first\.$"):
        logic.exportTable(table, tmp_path / "none" / "m.xlsx")

    def refuse(self, *_, **__):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(self))

    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(PermissionError) as caught:
        logic.exportTable(table, tmp_path / "m.csv")
    assert str(caught.value) == (
        f"Cannot write 'm.csv' in '{tmp_path}': no permission; choose another folder."
    )


def test_plot_over_layers(scene, logic, maps, truth):
    before = nodeIds(scene)
    table = logic.evaluate(maps, truth, segmentIds(truth)[:1], threshold=0.3)
    chart = logic.plotTable(table, "IoU")
    assert chart.GetTitle() == "IoU over layers"
    assert chart.GetXAxisTitle() == "Layer: 0 enc.1   1 enc.2"
    assert chart.GetYAxisTitle() == "IoU"
    series = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    assert [node.GetName() for node in series] == ["Grad-CAM", "HiResCAM"]
    rows = MetricsTable.rowsOf(table)
    column = series[0].GetTableNode().GetTable().GetColumnByName("Grad-CAM")
    assert [column.GetValue(n) for n in (0, 1)] == [row.values["IoU"] for row in rows[:2]]
    assert series[0].GetPlotType() == series[0].PlotTypeLine

    logic.plotTable(table)  # takes the place of the first
    assert len(nodesByClass(scene, "vtkMRMLPlotChartNode")) == 1
    plain = [item for item in am.metrics().values() if not item.unit]
    assert len(nodesByClass(scene, "vtkMRMLPlotSeriesNode")) == 2 * len(plain)
    MapPlots.removeChart(table)
    scene.RemoveNode(table)
    assert nodeIds(scene) == before


def row(name, layer="enc.1", method="Grad-CAM", segment="here", iou=0.5, dice=0.6) -> Row:
    return Row((name, segment, "tumor", method, layer), {"IoU": iou, "Dice": dice})


def test_bars_where_nothing_has_several_layers():
    data = PlotData.metricsData([row("A"), row("B", iou=0.25, method="HiResCAM")])
    assert not data.lines
    assert data.categories == ("IoU", "Dice")
    assert data.series == {"A": (0.5, 0.6), "B": (0.25, 0.6)}
    assert PlotData.metricsData([row("A"), row("B")], "Dice").categories == ("Dice",)


def test_lines_have_gaps_and_what_has_no_number_is_left_out():
    rows = [
        row("A", "enc.1", iou=0.1),
        row("B", "enc.2", iou=0.2),
        row("C", "enc.2", method="HiResCAM", iou=0.3),
        row("D", "enc.1", method="CAM", iou=math.nan),
    ]
    data = PlotData.metricsData(rows, "IoU")
    assert data.lines
    assert data.categories == ("enc.1", "enc.2")
    assert list(data.series) == ["Grad-CAM", "HiResCAM"]
    assert data.series["Grad-CAM"] == (0.1, 0.2)
    assert math.isnan(data.series["HiResCAM"][0])
    assert list(PlotData.metricsData(rows[:2]).series) == ["IoU", "Dice"]


def test_layers_stand_in_the_order_of_the_question_with_the_most():
    rows = [row("A", "up3", method="HiResCAM"), *(row("B", f"up{n}") for n in (1, 2, 3, 4))]
    assert PlotData.metricsData(rows, "IoU").categories == ("up1", "up2", "up3", "up4")


def test_names_of_series_are_told_apart():
    data = PlotData.metricsData([row("A"), row("A"), row("A", segment="there")])
    assert list(data.series) == ["here", "here (2)", "there"]
