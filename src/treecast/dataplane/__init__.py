"""Make the tables say so: the commands that turn wanted trees into tables and keys.

``root_trees`` is this node as the root, ``downstream_trees`` this node on the trees of others.
"""
