"""The box: one action, its inputs mounted, nothing else of the machine in sight.

    box        a root of its own in which one action runs; made for it, gone after it
    mount      one thing put at one path of the box: a tree of the shelf, a file, bytes, a directory of the host
    overlay    a tree as a lower layer under an empty upper one: writes land in the upper and nowhere else
    stub       a directory or file made in the box only so that something can be mounted on it
    build uid  under root: the one unprivileged uid that runs boxes and owns the shelf; it is uid 0 inside
    helper     the process that makes the box and outlives the action ("H"): it mounts, watches, gathers, deletes
    back-end   what closes the box and executes the action in it: bwrap or runc, by the same promises
    init       pid 1 of the box itself: it reaps; the action beside it is an ordinary process
    group      the cgroups of one run, where they can be made; else the meter looks at what its processes use
    watcher    pid 1 of the box's outer pid namespace ("C"): when it is gone, so is every process of the action
    zygote     a small process that forks one helper for each run, so that the engine never forks
    lifeline   whatever ends the box when its engine ends: a socket whose other end only the engine has, and pidfds
    order      what the engine asks of one helper: a BoxSpec as plain bytes, numbers and tuples
    work       the run's own directory ("W"), 0700: upper layers and private copies; deleted by the helper
    gather     reading the output paths out of the box's merged view after its last process is gone
    network    a network namespace with a bridge for several boxes, held by its **keeper**, a process that lives in it
    link       a box's place in a network: a network namespace of its own with one address
    berth      what a box is given to run in a network: its link, and who hears that it runs
    resident   a box that runs in a berth: it takes signals, and **visitors**: processes that enter it by its pidfd
    visit      another command for a resident: its words, environment, directory, user, and whose descriptors it has
    carry      to hand on connections from a socket of the host, or of the network, to one of several boxes in turn
    registrar  who remembers owners and users of a box with one uid, and is asked for them
    notice     a call of a process in the box that waits until the registrar has answered it
    creds      whom a process says to be: its users, its groups, and whether it keeps what it may
    ids        the uids behind a box's: one, or as many as images know
    outcome    how it ended, what was gathered, and which protections really were in force

Modules that the helper imports (see ``zygote``) must be cheap to import.
"""
