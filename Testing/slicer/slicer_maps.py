"""Maps without a network: given voxels with the provenance of a made-up question."""

import json

import numpy as np


def provenance(**changes) -> dict:
    """Return what the engine would say about a map."""
    return {
        "model": {"sha256": "0" * 64},
        "target": "tumor",
        "method": "grad_cam",
        "method_label": "Grad-CAM",
        "layer": "enc.1",
        "options": {},
        "score": 12.5,
        "evidence": True,
        "note": "",
        **changes,
    }


def addMap(scanNode, values_ijk, *, signed: bool = False, **changes):
    """Add a map of a scan, as `ResultNodes.addMap` does.

    Args:
        scanNode: the volume.
        values_ijk: (I, J, K) the map.
        signed: whether it has both signs.
        changes: to the provenance.
    """
    from SlicerAttentionMapsLib import Display, ResultNodes

    if not np.any(values_ijk):
        changes = {"note": "no evidence: the map is zero", "evidence": False, **changes}
    facts = provenance(signed=signed, **changes)
    parts = (scanNode.GetName(), facts["target"], facts["method_label"], facts["layer"])
    array = np.ascontiguousarray(values_ijk.T, dtype=np.float32)
    node = Display.createOverlay(scanNode, array, " | ".join(parts))
    Display.styleOverlay(node, signed=signed)
    node.SetAttribute(ResultNodes.PROVENANCE_ATTRIBUTE, json.dumps(facts))
    node.SetNodeReferenceID(ResultNodes.SCAN_ROLE, scanNode.GetID())
    ResultNodes.putBeside(node, scanNode)
    return node
