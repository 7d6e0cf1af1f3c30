"""The types of parameters: expressions -> types, and values held against them.

The words
    basic       a type with a name: str, int, mount-source, service-spec ...
    fields      a map with known keys; those whose type is maybe or default may be absent
    free        a map with any keys, of one type, and values of another
"""
