"""The methods: one small function each. Importing this package registers them."""

from attention_maps.algorithms import cam, eigen, gradient, perturbation

__all__ = ["cam", "eigen", "gradient", "perturbation"]
