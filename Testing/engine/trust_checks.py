"""What every model's trust report must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import attention_maps as am

if TYPE_CHECKING:
    from attention_maps.model import LoadedModel

TESTS = ["deletion", "randomization", "noise_sensitivity", "method_agreement"]
FEW = {"removal_steps": 2, "controls": 1, "blocks": 2, "noise_samples": 1}


def weights_of(model: LoadedModel) -> list[bytes]:
    """All tensors of all networks, to the bit."""
    networks = model.members or (model.network,)
    return [tensor.detach().numpy().tobytes() for net in networks for _, tensor in net.tensors()]


def check_trust(model: LoadedModel, image: Any, tests: list[str] | None = None) -> None:
    """Make a small report: weights and maps stay, the randomized map is another one."""
    before = weights_of(model)
    session = am.Explainer(model, image)
    of_tests = {name for test in tests or TESTS for name in am.trust_tests()[test].options}
    options = {name: value for name, value in FEW.items() if name in of_tests}
    shares: list[float] = []
    report = session.trust(
        "hires_cam", tests=tests or TESTS, progress=lambda share, _: shares.append(share), **options
    )
    assert weights_of(model) == before
    assert shares == sorted(shares)
    finding = report.finding("randomization")
    assert finding.verdict in ("passed", "failed", "note")
    assert finding.rows[-1]["rank correlation"] < 0.999
    assert [row["edge map"] for row in finding.rows] == pytest.approx([1] * len(finding.rows))
    again = am.Explainer(model, image).explain("hires_cam")
    np.testing.assert_array_equal(again.raw.array, report.map.raw.array)
