"""Weaving: the rooms below know their craft and not each other; here they make one walk.

The words: an **event** is what happened, told to a **Reporter**; **pins** are what the names in a plot
stand for now; **supply** finds the bytes of a ware and puts its tree on the shelf; **furnish** is the pure
step from a formula to a box; **gather** turns what a box left into wares; **execute** takes one formula
to its RunRecord, from the memo or by an **execution** in one of its **boxes**; **rooms** are all that an **Engine** is
composed of, and it walks through them. A **job** is one formula to execute, with where it comes from. So many actions
run at once as there are **slots**; a step whose box is ready waits for its **turn**.

Names: to **release** is to publish what a module gives, with its plot as the replay; a **replayer** builds releases
again and has a **verdict** for each item; to **remake** a ware is to run a replay because nobody has it; a **bundle**
is what plots name, copied into a workspace; a **capsule** is a module with all that it is built from, in one file;
a **hazard** is a release that its publisher warns of; **provenance** is what is known of where a ware comes from;
an **attester** gathers what documents alone say of how a release was made, for other tools.

Knowing: a **phase** is a part of executing a step; the **chronicle** of a command leaves the record of its
steps in the run log; **history** is the run log read once. From it a **forecast** tells what a run would do, the
**explainer** why a step runs or ran, and an **account** gathers all of one command for a report.
"""
