"""How well a bundle tells live faces from presentation attacks: measured, drawn and told (`edge-sdk evaluate`)."""
