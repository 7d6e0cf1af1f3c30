"""Weaving: the rooms below know their craft and not each other; here they make one walk.

The words: an **event** is what happened, told to a **Reporter**; **pins** are what the names in a plot
stand for now; **supply** finds the bytes of a ware and puts its tree on the shelf; **furnish** is the pure
step from a formula to a box; **gather** turns what a box left into wares; **execute** takes one formula
to its RunRecord; the **Engine** composes them.

Knowing: a **phase** is a part of executing a step; the **chronicle** of a command leaves the record of its
steps in the run log; **history** is the run log read once. From it a **forecast** tells what a run would do, the
**explainer** why a step runs or ran, and an **account** gathers all of one command for a report.
"""
