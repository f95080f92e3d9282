"""Tables, plots and pages of what was found, to be kept and sent."""
