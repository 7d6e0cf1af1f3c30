"""Calls: a module, its arguments and its scope -> level by level -> a leaf with values only."""
