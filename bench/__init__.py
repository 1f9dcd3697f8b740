"""Measurements of Treecast beside what it is compared with, in one lab and one period. ``python -m bench``."""
