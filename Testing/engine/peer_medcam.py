"""M3d-CAM 0.1.22 itself, made to run on today's NumPy and pandas, and its ways undone."""

from __future__ import annotations

import copy
import warnings
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import attention_maps as am
from tiny_networks import SHAPES


@pytest.fixture
def medcam(monkeypatch):
    """The package's front; `np.float` and `DataFrame.append` exist again meanwhile."""
    pytest.importorskip("medcam", reason="the peer is not installed")
    import pandas
    from medcam import medcam as peer

    def append(frame, row, ignore_index):
        return pandas.DataFrame([*frame.to_dict("records"), row], columns=[*frame.columns])

    monkeypatch.setattr(np, "float", float, raising=False)
    monkeypatch.setattr(pandas.DataFrame, "append", append, raising=False)
    return SimpleNamespace(**{name: quiet(getattr(peer, name)) for name in dir(peer)})


def quiet(function):
    """What it warns of in PyTorch and pandas does not end the tests."""
    if not callable(function):
        return function

    def called(*args, **kwargs):
        with tolerated():
            return function(*args, **kwargs)

    return called


@contextmanager
def tolerated():
    """Warnings of M3d-CAM's calls into other packages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def scaled(maps: np.ndarray) -> np.ndarray:
    """(B, 1, *grid) maps as M3d-CAM gives them: from 0 to 1, each by itself; 0 where constant."""
    low = maps.min(axis=tuple(range(1, maps.ndim)), keepdims=True)
    span = maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True) - low
    return (maps - low) / np.where(span > 0, span, 1)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest difference, relative to the largest value."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def batch_of(images: int, axes: int, seed: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(images, 1, *SHAPES[axes], generator=generator)


def both(peer, network, batch, layer, backend="gcam", label=1, calls=1):
    """Maps of both on the layer's own grid, of the last of several calls."""
    injected = am.inject(network, backend=backend, layer=layer, label=label, data_shape="layer")
    theirs = peer.inject(copy.deepcopy(network), backend=backend, layer=layer, label=label)
    with tolerated():
        for _ in range(calls):
            assert torch.equal(injected(batch), theirs(batch.clone()))
    return injected.get_attention_map(), theirs.get_attention_map()
