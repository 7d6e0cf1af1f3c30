"""warpforge: a content-addressed, hermetic build engine. Hashes go in, hashes come out."""

__version__ = "0.1.0"
