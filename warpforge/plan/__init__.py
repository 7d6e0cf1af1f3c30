"""Thought without I/O: what a plot needs, in which order, and what each step's formula is.

The words: a **step path** names a step through its subplots; **refs** are what a plot names outside of itself;
**pins** say what each ref stands for; the **Plan** is the state of one plot: ``ready()`` gives the tasks that
can be done now, ``finished(task, results)`` takes what they gave, ``results()`` is the plot's answer.

``foresee`` drives a Plan by what is known already and gives each step a **verdict**; a **reason** says why a step runs:
its **changes** from an older formula, each with its **cause** when another step made it.
"""
