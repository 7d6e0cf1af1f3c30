"""Catalogs on disk: names that people can say, and what they stand for.

catalog   a directory of modules; ``<module>/_module.json _mirrors.json _releases/<name>.json _replays/<id>.json``
layer     catalogs that stand beside each other; a nearer layer shadows a farther one
pin       what a reference stands for now: a ware, and where that was read
lookup    from references to pins, over layers
fault     what is wrong or odd in a catalog; each module is examined by itself, then compared with the others (check)
key       who signs: ed25519; an envelope (DSSE) is signed bytes with their signatures, so many of so many keys
clone     a catalog with a ``.git`` that says where it came from
step      what became of a release from one state of a catalog to the next (succession)
verdict   what came of building a release again, as it is kept; part of no id (verdicts)
known     what a reference meant when it was used here, so that a change is noticed
rebuilder whose word counts on that, and on nothing else; a word is a verdict that somebody gave (words)
html      a catalog as pages for people
snapshot  one id (its root) over a whole catalog, signed; each names the one before it, which makes the log
trust     whose signatures a catalog needs, and what of it was seen; a view is a catalog as a snapshot says it is
edit      a module's directory built beside the old one and swapped for it

A release is only believed when its id is the one that its module names; so is a replay.
"""
