"""Library of the Attention Maps scripted module."""
