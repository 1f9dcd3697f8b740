"""Commands that turn wanted trees into tables and keys of the data plane.

``root_trees`` is this node as the root, ``downstream_trees`` this node on the trees of others.
"""
