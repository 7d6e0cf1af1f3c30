"""Helpers that the tests share: one module each."""
