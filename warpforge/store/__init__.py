"""Wares at rest, and what was learned from making them.

The words, each a module:

warehouse    packed wares, named by their hash: truth
shelf        unpacked wares, ready to be a lower layer of a box: derived, trusted only by its stamp
duals        the ``ztar`` hash of every ware whose own id says less than its tree: truth
origins      from where a ware came that is made of several parts: history
images       manifest and config of every ``oci`` ware: the image checks them, and brings them again
memo         RunRecords by FormulaId, so that a result is computed once: truth
runs         the run log: one line for every execution, and what it said: history (runs, run_entry)
lines        files that only grow, a record a line, written by many at once
guid         ids of runs and invocations
invocations  for every command that ran something: its steps, what ran and what the memo knew: history
built        what each module gave when it was last run to its end: history
index        sizes, last use and the ingest cache: derived, rebuilt whenever in doubt
staging      where one process writes before anything has its final name
debris       what dead processes left behind
layers       those of images as they came, for the next image that has them
partials     what had come of a ware when its download broke off, for the next try
stay         a command is in the store; away while it only waits, so that garbage can be collected
pins         what running processes need kept
kept         what a person pinned, by name: truth
trees        every tree on the shelf, listed
root         a reason to keep a ware; gc deletes what has none (gc)
finding      something that is not as it should be; told once, never in the way
doors        who is in a store, and who waits before it, over all threads and processes
rooms        what a store is composed of, each made when it is first asked for (rooms)
store        all of these over one directory

Writing goes bytes, name, index, then whoever points at it; deleting goes the other way.
Whether something is there is decided by files alone.
"""
