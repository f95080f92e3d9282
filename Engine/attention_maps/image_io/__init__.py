"""Images from files and to files, in the world position that 3D Slicer gives them.

Volumes are arrays (C, I, J, K), 2D images (C, rows, columns), both with an affine from voxel
index to RAS mm. The libraries that read a format are imported when that format is read.
"""

from attention_maps.image_io.reading import read_image
from attention_maps.image_io.writing import write_image

__all__ = ["read_image", "write_image"]
