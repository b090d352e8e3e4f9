"""Photographs, renderings and their boxes: categories, COCO files, images, predictions."""
