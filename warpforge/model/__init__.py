"""The nouns of every document, and the one door between bytes and nouns. Pure: no I/O, clock, environment or logging.

Words
  ware          a file tree named by its hash; a WareId is packtype:hash
  port          where something meets the box: a path or $VAR
  formula       inputs by port, an action, outputs by label; its FormulaId names the result
  gather        what to keep after the action
  context       where a formula's wares may be fetched; no part of its id
  plot          a graph of steps; a step is a protoformula (inputs not known yet) or a plot again (a subplot)
  pipe          an output of a step, or an input of the plot, named as an input
  replayable    a plot without ingest:, mount:, candidate: or secret:; the only form a catalog may hold
  module        a lineage: a name for a plot's results      release  the wares of one state of it, its items
  mirrors       where a module's wares may be had           replay   the plot that made a release
  RunRecord     what one execution of a formula gave        memo     a RunRecord kept to answer the next time
  capsule       the outermost object of a document, whose key says kind and version
  finding       one thing to say about a document, with its JSON pointer
  slip          a comma missing or one too many: forgiven, and told
"""
