"""What the panel shows and why, decided without Qt and without a scene."""
