"""Float models in their file formats, and the kinds of artifact that are made of them."""
