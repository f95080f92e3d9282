"""The module's tests inside 3D Slicer: its panel is used as a person would (see `Suite`)."""
