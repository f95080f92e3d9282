"""Sample data in 3D Slicer's Sample Data module: a head, and a network to explain on it."""

from __future__ import annotations

import logging
from pathlib import Path

import slicer

from . import SampleNetwork
from .i18n import _
from .Paths import resourcePath

CATEGORY = "Attention Maps"
SCAN = "MRHead"


def register() -> None:
    """List the sample data. Nothing is downloaded before a person clicks on it."""
    import SampleData

    scan = SampleData.SampleDataLogic().sourceForSampleName(SCAN)
    if scan is None:
        logging.warning("Attention Maps: Sample Data has no %s; no sample data listed.", SCAN)
        return
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=_("Head and network (network: {size} MB)").format(size=SampleNetwork.MEGABYTES),
        thumbnailFileName=str(resourcePath("Icons/AttentionMaps.png")),
        uris=[*scan.uris, SampleNetwork.URL],
        fileNames=[*scan.fileNames, SampleNetwork.WHEEL],
        nodeNames=[*scan.nodeNames, None],
        checksums=[*scan.checksums, f"SHA256:{SampleNetwork.SHA256}"],
        loadFiles=[True, False],
        customDownloader=download,
    )


def download(source=None):
    """Load head and network, and choose both in the panel.

    Args:
        source: as the Sample Data module passes it; what is downloaded is always the same.

    Returns:
        The head's volume node and the path of the network; None if it could not be downloaded,
        which the person was told.
    """
    try:
        with slicer.util.WaitCursor():
            return _download()
    except (OSError, ValueError, KeyError) as error:
        slicer.util.errorDisplay(
            _(
                "The sample data could not be downloaded: {error}. "
                "Check the network connection and try again."
            ).format(error=error)
        )
        return None


def _download():
    import SampleData

    widget = getattr(slicer.modules, "SampleDataWidget", None)
    logic = widget.logic if widget is not None else SampleData.SampleDataLogic()
    wheel = logic.downloadFileIntoCache(
        SampleNetwork.URL, SampleNetwork.WHEEL, f"SHA256:{SampleNetwork.SHA256}"
    )
    folder = Path(slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory(), "AttentionMaps")
    network = SampleNetwork.unpack(Path(wheel), folder)
    volumes = logic.downloadSamples(SCAN)
    if not volumes:
        raise OSError(_("{name} is not available").format(name=SCAN))
    _choose(volumes[0], network)
    logging.info("Attention Maps: sample network in %s.", network)
    return volumes[0], network


def _choose(volume, network: Path) -> None:
    """Choose both in the panel, which is made where it was not opened yet."""
    parameters = slicer.util.getModuleWidget("SlicerAttentionMaps").parameters
    parameters.modelPath = str(network)
    parameters.volumes = [volume]
