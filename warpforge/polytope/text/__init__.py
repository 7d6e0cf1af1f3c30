"""Bytes of YAML, JSON or EDN -> plain values that know where they were written.

The words
    document    one text, read: its value, and the place of every part of it
    way         the keys and indices that lead from the root of a document to a part of it
"""
