"""Every method once more, straight from its paper's formula: float64, plain loops, no engine code.

A function takes a `Case` and returns the map as an array: on the layer's grid for methods of a
layer, on the input's grid for all others.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import nn

Array = np.ndarray


@dataclass
class Case:
    """A network, an image, a layer and a question.

    Args:
        module: The network.
        image: (C, *spatial) array.
        layer: Name of a submodule.
        ask: Logits (1, classes, *spatial) -> score.
        stride: Input voxels per voxel of the layer.
        offset: Input voxel at the center of the layer's first voxel.
        head: Weights (K,) of the asked class in a linear head behind average pooling.
        tokens: Grid of a layer of tokens (B, tokens, K), None for feature maps.
        lead: Number of tokens in front that have no place.
    """

    module: nn.Module
    image: Array
    layer: str
    ask: Callable[[torch.Tensor], torch.Tensor]
    stride: float = 1.0
    offset: float = 0.0
    head: Array | None = None
    tokens: tuple[int, ...] | None = None
    lead: int = 0

    @cached_property
    def network(self) -> nn.Module:
        return copy.deepcopy(self.module).double().eval()

    @property
    def inputs(self) -> torch.Tensor:
        return torch.tensor(self.image, dtype=torch.float64)[None]

    def score(self, inputs: torch.Tensor, without: int | None = None) -> float:
        """The score, with one channel of the layer set to zero if asked."""

        def silence(_module, _inputs, output):
            changed = output.clone()
            if self.tokens is None:
                changed[:, without] = 0
            else:
                changed[:, self.lead :, without] = 0
            return changed

        layer = self.network.get_submodule(self.layer)
        handle = layer.register_forward_hook(silence) if without is not None else None
        with torch.no_grad():
            value = float(self.ask(self.network(inputs)))
        if handle:
            handle.remove()
        return value

    @cached_property
    def recorded(self) -> tuple[Array, Array]:
        """Activations and gradients of the layer, (K, *grid) both."""
        kept = []

        def keep(_module, _inputs, output):
            output.retain_grad()
            kept.append(output)

        handle = self.network.get_submodule(self.layer).register_forward_hook(keep)
        self.ask(self.network(self.inputs)).backward()
        handle.remove()
        gradient = kept[0].grad if kept[0].grad is not None else torch.zeros_like(kept[0])
        return self._as_maps(kept[0].detach()[0].numpy()), self._as_maps(gradient[0].numpy())

    def _as_maps(self, values: Array) -> Array:
        if self.tokens is None:
            return values
        return values[self.lead :].T.reshape(-1, *self.tokens)

    def gradient(self, inputs: torch.Tensor, guided: bool = False) -> Array:
        """Gradient of the score, (C, *spatial)."""
        handles = []
        if guided:
            for part in self.network.modules():
                if isinstance(part, nn.ReLU):
                    handles.append(part.register_full_backward_pre_hook(_only_positive))
        inputs = inputs.clone().requires_grad_()
        found = torch.autograd.grad(self.ask(self.network(inputs)), inputs)[0]
        for handle in handles:
            handle.remove()
        return found[0].numpy()

    def on_input(self, values: Array) -> Array:
        """A map of the layer on the input's grid: linear between centers, constant beyond."""
        for axis, size in enumerate(self.image.shape[1:]):
            at = (np.arange(size) - self.offset) / self.stride
            centers = np.arange(values.shape[axis])
            values = np.apply_along_axis(
                lambda v, a=at, c=centers: np.interp(a, c, v), axis, values
            )
        return values


def _only_positive(_module, gradients):
    return (gradients[0] * (gradients[0] > 0),)


def relu(values: Array) -> Array:
    return np.where(values > 0, values, 0.0)


def _weighted(weights, activations: Array) -> Array:
    result = np.zeros(activations.shape[1:])
    for weight, channel in zip(weights, activations, strict=True):
        result = result + weight * channel
    return result


def cam(case: Case) -> Array:
    return _weighted(case.head, case.recorded[0])


def grad_cam(case: Case) -> Array:
    activations, gradients = case.recorded
    return relu(_weighted([g.sum() / g.size for g in gradients], activations))


def grad_cam_pp(case: Case) -> Array:
    activations, gradients = case.recorded
    weights = []
    for a, g in zip(activations, gradients, strict=True):
        weight, total = 0.0, a.sum()
        for value in g.ravel():
            if value > 0:
                # second and third derivative of exp(score), divided by exp(score)
                weight += value**2 / (2 * value**2 + total * value**3) * value
        weights.append(weight)
    return relu(_weighted(weights, activations))


def hires_cam(case: Case) -> Array:
    activations, gradients = case.recorded
    return sum(g * a for a, g in zip(activations, gradients, strict=True))


def x_grad_cam(case: Case) -> Array:
    activations, gradients = case.recorded
    weights = []
    for a, g in zip(activations, gradients, strict=True):
        vanishing = abs(a.sum()) < 1e-3 * np.abs(a).sum() or not a.any()
        weights.append(g.mean() if vanishing else (g * a).sum() / a.sum())
    return relu(_weighted(weights, activations))


def layer_cam(case: Case) -> Array:
    activations, gradients = case.recorded
    return relu(sum(relu(g) * a for a, g in zip(activations, gradients, strict=True)))


def seg_xres_cam(case: Case, size: int = 2) -> Array:
    """Maximum of the gradient in blocks, then linear between the blocks' centers."""
    activations, gradients = case.recorded
    result = np.zeros(activations.shape[1:])
    for a, g in zip(activations, gradients, strict=True):
        blocks = [-(-n // size) for n in g.shape]
        pooled = np.zeros(blocks)
        for index in product(*map(range, blocks)):
            part = tuple(slice(i * size, (i + 1) * size) for i in index)
            pooled[index] = g[part].max()
        for axis, n in enumerate(g.shape):
            at = (np.arange(n) + 0.5) / size - 0.5
            centers = np.arange(blocks[axis])
            pooled = np.apply_along_axis(
                lambda v, at=at, c=centers: np.interp(at, c, v), axis, pooled
            )
        result = result + pooled * a
    return relu(result)


def _principal(features: Array, hires: Array) -> Array:
    """First principal component by a full decomposition, signed like HiResCAM."""
    flat = features.reshape(len(features), -1).T
    centered = flat - flat.mean(0)
    u, s, _ = np.linalg.svd(centered, full_matrices=False)
    component = u[:, 0] * s[0]
    if component @ (hires.ravel() - hires.mean()) < 0:
        component = -component
    return component.reshape(features.shape[1:])


def eigen_cam(case: Case) -> Array:
    return _principal(case.recorded[0], hires_cam(case))


def eigen_grad_cam(case: Case) -> Array:
    activations, gradients = case.recorded
    return _principal(activations * gradients, hires_cam(case))


def score_cam(case: Case) -> Array:
    activations, _ = case.recorded
    base = case.score(torch.zeros_like(case.inputs))
    gains = []
    for channel in activations:
        mask = case.on_input(channel)
        extent = mask.max() - mask.min()
        mask = (mask - mask.min()) / extent if extent > 0 else np.zeros_like(mask)
        gains.append(case.score(case.inputs * torch.from_numpy(mask)) - base)
    shares = np.exp(np.array(gains) - max(gains))
    return relu(_weighted(shares / shares.sum(), activations))


def ablation_cam(case: Case) -> Array:
    activations, _ = case.recorded
    full = case.score(case.inputs)
    weights = [full - case.score(case.inputs, without=k) for k in range(len(activations))]
    return relu(_weighted(weights, activations))


def guided_backprop(case: Case) -> Array:
    return case.gradient(case.inputs, guided=True).sum(0)


def guided_grad_cam(case: Case) -> Array:
    return guided_backprop(case) * case.on_input(grad_cam(case))


def saliency(case: Case) -> Array:
    return np.abs(case.gradient(case.inputs)).max(0)


def input_x_gradient(case: Case) -> Array:
    return (case.gradient(case.inputs) * case.inputs[0].numpy()).sum(0)


def smooth_grad(case: Case, samples: int = 25, noise: float = 0.15, seed: int = 0) -> Array:
    generator = torch.Generator().manual_seed(seed)
    deviation = noise * float(case.inputs.max() - case.inputs.min())
    total = np.zeros(case.image.shape)
    for _ in range(samples):
        draw = torch.randn(case.image.shape, generator=generator).double()
        total += case.gradient(case.inputs + deviation * draw[None])
    return (total / samples).sum(0)


def integrated_gradients(case: Case, steps: int = 32, baseline: float = 0.0) -> Array:
    """Gauss-Legendre quadrature over the whole path at once."""
    start = torch.full_like(case.inputs, baseline)
    path = case.inputs - start
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(case.image.shape)
    for node, weight in zip(nodes, weights, strict=True):
        total += weight / 2 * case.gradient(start + (node + 1) / 2 * path)
    return (total * path[0].numpy()).sum(0)


def occlusion(case: Case) -> Array:
    """Patches of an eighth of each axis, side by side, filled with the channel's mean."""
    spatial = case.image.shape[1:]
    edges = [max(1, n // 8) for n in spatial]
    corners = []
    for n, edge in zip(spatial, edges, strict=True):
        corners.append(sorted({*range(0, n - edge + 1, edge), n - edge}))
    full = case.score(case.inputs)
    loss, count = np.zeros(spatial), np.zeros(spatial)
    for corner in product(*corners):
        patch = tuple(slice(c, c + e) for c, e in zip(corner, edges, strict=True))
        covered = case.inputs.clone()
        for channel in range(covered.shape[1]):
            covered[(0, channel, *patch)] = case.inputs[0, channel].mean()
        loss[patch] += full - case.score(covered)
        count[patch] += 1
    return loss / count


REFERENCES: dict[str, Callable[[Case], Array]] = {
    function.__name__: function
    for function in (
        cam, grad_cam, grad_cam_pp, hires_cam, x_grad_cam, layer_cam, seg_xres_cam, eigen_cam,
        eigen_grad_cam, score_cam, ablation_cam, guided_backprop, guided_grad_cam, saliency,
        input_x_gradient, smooth_grad, integrated_gradients, occlusion,
    )
}  # fmt: skip
