"""Operating-system helpers that have never heard of wares.

entry     one node of a file tree, with its content beside it when it is a regular file (tree)
descent   a way down a tree by descriptors, at any depth (descent)
bare      a repository of git's that we made, and git run in it alone (git)
whole     a function that no signal interrupts (whole; what else waits: interrupts)
signature what a tree's stats say, without reading a file (stat_walk)
stream    a tree as bytes between two of our own processes (stream)
"""
