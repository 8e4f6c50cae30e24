"""How well a locator finds faces: for export, for thresholds, and as a report."""
