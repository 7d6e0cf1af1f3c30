"""Hermetic steps: containers that are pure functions of pinned inputs, as formulas."""
