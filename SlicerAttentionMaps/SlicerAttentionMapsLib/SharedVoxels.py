"""Arrays that become the voxels of an image without being copied."""

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

# Arrays by the address of the VTK array that uses their memory, which says when it is gone.
_used: dict = {}


def scalarsOf(array: np.ndarray):
    """Return a `vtkDataArray` on the memory of an array (K, J, I) in C order.

    The memory lives as long as the VTK array does, whoever holds that.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f"Expected an array in C order, got strides {array.strides}.")
    if not array.flags.writeable:  # Slicer's tools write into volumes
        array = array.copy()
    flat = array.reshape(-1)
    scalars = numpy_to_vtk(flat, deep=False)
    # Its Python side goes away before it does; what keeps the memory must not.
    scalars._numpy_reference = None
    key = scalars.GetAddressAsString("vtkDataArray")
    _used[key] = flat
    scalars.AddObserver(vtk.vtkCommand.DeleteEvent, lambda *_: _used.pop(key, None))
    scalars.SetName("ImageScalars")
    return scalars


def imageOf(array: np.ndarray, image=None):
    """Return a `vtkImageData`, or the one that is given, with (K, J, I) voxels."""
    image = vtk.vtkImageData() if image is None else image
    image.SetDimensions(array.shape[::-1])
    image.GetPointData().SetScalars(scalarsOf(array))
    return image
