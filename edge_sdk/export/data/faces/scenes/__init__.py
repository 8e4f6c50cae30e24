"""Scenes to learn from where faces are: pictures of faces pasted anywhere, at any size, among what is no face.

``plan.py`` draws what lies where; ``composition.py`` renders a whole batch with PyTorch, on a CPU or a GPU;
``light.py`` changes what a camera does; ``drawings.py`` has pictures without faces; ``truth.py`` says what a face's
box is.
"""
