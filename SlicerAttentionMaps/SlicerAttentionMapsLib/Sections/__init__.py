"""The panel's sections: they bind widgets to what `Panel` decides, and clicks to the logic."""
