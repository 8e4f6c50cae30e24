"""How well artifacts and bundles do on people they have never seen; reports as HTML and JSON."""
