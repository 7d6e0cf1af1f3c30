"""warpforge: a content-addressed, hermetic build engine. Hashes go in, hashes come out.

A formula says: put these wares at these paths, run this action in an empty box, keep these paths. Its hash names the
result, so a result is made once. A plot is a graph of such steps. A catalog gives wares names that people can say.

The house
    Imports go down only, and packages on one floor do not know each other (tests/test_floors.py reads every import).

    errors                                      every code, one exception tree, the way to an exit status
    model                                       the nouns of every document, and the door between bytes and nouns
    fsx                                         the operating system: descriptors, atomic writes, locks; knows no wares
    picture                                     graphs drawn, and what all pages share; knows no wares either
    plan                                        thought about plots, without I/O: order, refs, what is ready
    pack store mirror catalog workspace sandbox strangers to each other, one craft of I/O each
    engine                                      weaves them: supply, furnish, gather, execute, run
    polytope                                    jobs, modules and services, as polytope files describe them
    cli                                         arguments in; screen, JSON lines and an exit status out

The walk of data
    One value in, one value out, no way back up.

    argv -> Target -> Stack of workspaces -> Plot -> references -> pins: each catalog name now stands for a WareId
    Plot + pins -> Plan: it says which steps are ready, each as a whole Formula
    Formula -> FormulaId -> memo? then its RunRecord is the answer, and nothing below happens
    Formula -> supply: every input ware on the shelf -> furnish: a box as a value -> sandbox: an exit status
    -> gather: each kept path packed and committed as a ware -> RunRecord -> memo
    RunRecord -> Plan: finished, which makes other steps ready -> ... -> PlotResults -> screen

    Two decisions carry this. The plan does no I/O: the formula of a later step needs the results of an earlier one, so
    there is no list of formulas, only ``ready`` and ``finished``; running steps side by side changes nothing in it.
    And names are resolved to WareIds before any byte is needed, so a memo answers without asking where bytes are.

The words
    ware        a file tree named by its hash; its WareId is packtype:hash
    packtype    how a tree is hashed and packed: ztar is ours (BLAKE3, every node counts), tar is the old form
    warehouse   wares at rest, packed          shelf   wares unpacked, ready to be mounted; can always be made again
    port        where something meets the box: a path, or $VAR
    formula     inputs by port, an action, outputs by label          FormulaId   its hash
    gather      what is kept after the action
    box         the closed place where an action runs: its own root, processes, names and no network
    memo        the RunRecord of a formula that worked, kept to answer the next time
    plot        a graph of steps; a step is a protoformula (its inputs may be pipes), or a plot again
    pipe        an output of a step, or an input of the plot, named as an input: pipe:step:label, pipe::label
    module      a name for what a plot makes, such as warpsys.org/busybox; with its plot, a directory
    catalog     what modules have released: module, release, item -> WareId; and mirrors, where wares may be had
    replay      the plot that made a release, kept beside it
    workspace   a directory with .warpforge/ in it; the nearest is asked first, up to a root workspace, else the home
"""

__version__ = "0.1.0"
