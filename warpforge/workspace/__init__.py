"""Where, never what.

workspace   a directory with ``.warpforge/``, which is its internal directory
root        a workspace with ``.warpforge/root``: nothing above it is looked at; it holds the store and the catalogs
home        ``~/.warphome``, itself the internal directory of the last workspace
stack       the workspaces from here to the first root, nearest first, else to home
target      a document that a command was asked to work on
"""
