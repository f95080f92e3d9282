"""States of the panel that tests begin with."""

from dataclasses import replace
from typing import Any

from SlicerAttentionMapsLib.Panel.ExplainPanel import ExplainState
from SlicerAttentionMapsLib.Panel.InputPanel import InputState, VolumeFacts
from SlicerAttentionMapsLib.Panel.State import PanelState

T1 = VolumeFacts("vtkMRMLScalarVolumeNode1", "T1", (176, 256, 256), (1.0, 1.0, 1.0))
T2 = VolumeFacts("vtkMRMLScalarVolumeNode2", "T2", (176, 256, 256), (1.0, 1.0, 1.0))
MODEL: dict[str, Any] = {
    "name": "net.pt",
    "line": "net.pt: TorchScript, 3D",
    "channels": 1,
    "channel_names": [],
    "spatial_dims": 3,
    "spacing": [],
    "spec": {"format_version": 1},
}


def panelState(*, explain: ExplainState | None = None, **given) -> PanelState:
    """Return the state of a panel with a volume and a loaded model; `given` changes the input."""
    ready = InputState(
        volumes=(T1,),
        modelPath="/models/net.pt",
        modelFound=True,
        sidecar="/models/net.json",
        specification=MODEL["spec"],
        model=MODEL,
    )
    return PanelState(input=replace(ready, **given), explain=explain or ExplainState())
