"""Weaving: the rooms below know their craft and not each other; here they make one walk.

The words: an **event** is what happened, told to a **Reporter**; **pins** are what the names in a plot
stand for now; **supply** finds the bytes of a ware and puts its tree on the shelf; **furnish** is the pure
step from a formula to a box; **gather** turns what a box left into wares; **execute** takes one formula
to its RunRecord; the **Engine** composes them.
"""
