"""Trained nnU-Net v2 models: a results folder, as nnU-Net itself predicts with it."""
