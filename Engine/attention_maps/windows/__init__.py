"""The whole volume under sliding windows, exactly as the model's own inference does it."""
