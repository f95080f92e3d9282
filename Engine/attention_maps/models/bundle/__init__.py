"""MONAI bundles: preprocessing, windows and the way back as the bundle itself has them."""
