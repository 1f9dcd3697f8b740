"""The command ``treecast``: its verbs, and how their answers look."""
