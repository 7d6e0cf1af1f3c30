"""Containers: boxes with an image at their root, which serve, start again, and leave volumes and datasets."""
