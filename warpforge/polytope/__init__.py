"""Polytope: jobs, modules and services, written in ``polytope.yml``, on top of the engine.

The walk of data
    bytes of a file -> PolytopeFile (one form, whatever the dialect) -> a call: a module, its arguments, its scope
    -> level by level: arguments checked against parameter types, references and code evaluated -> a leaf: a primitive,
    or code, with values only -> as a formula, if it is a pure function of pinned inputs; else as boxes of a job

The house
    Imports go down here, too (tests/test_floors.py).

    nouns spec issues marks events runner   what is spoken of everywhere
    code text types                         evaluators of code; documents as values with places; parameter types
    files                                   what documents say, and what references mean
    calls                                   arguments checked, references evaluated: a leaf, with values only
    containers                              boxes that serve, on networks of jobs, with volumes
    modules builtin                         what primitives do, and the modules that ship with us
    hermetic dockerfile                     containers as formulas; images built of formulas
    jobs triggers                           steps and their states; what starts them
    survey                                  what can be told without running anything

The words
    module      a template for formulas and boxes: parameters, and another module with arguments, or code
    primitive   a module that is not described by another: container, and the few that the job itself carries out
    built-in    a module that ships with us: data beside the code, referred to as polytope/NAME or polytope/NAME!ID
    parameter   what a module may be given; its type says which values, and what it is when nothing is given
    argument    the value of a parameter in one call
    reference   text that stands for a value: pt.param, pt.value, pt.secret, pt.output
    code        text after pt.js or pt.clj, evaluated where it cannot reach the host
    scope       the file that a module was written in: there bare ids mean what they meant to its author
    library     the files that belong together: a root, and all that it includes
    call        a reference to a module or template, with arguments
    frame       where something was written: its file, and the parameters that it sees there
    level       one module on the way from a call down to its leaf
    leaf        what a call comes down to: a primitive, code, or a template
    issue       one thing to say about a file or a call, with its place
    template    steps to run together
    step        one call of a module within a job, and when it begins
    job         steps, services and volumes with one network of their own, from start to end
    container   a box with an image at its root that may serve, and be started again
    box         what a container runs in; one that is scaled has several, alike, each with an address
    ground      what the boxes of a job stand on: a back-end, a network, a place for their layers
    seat        what a container's command reads from: a terminal, or a pipe
    sitter      the person at a container's terminal
    service     a name and ports under which other boxes of the job, and the host, reach a container
    volume      a directory that outlives a container: until the job ends, or for the whole project
    dataset     a file tree that a container left, kept as a ware; its versions are numbered
    hermetic    said of a container: a pure function of its arguments, so it runs as a formula; what speaks against that
                is an impurity
    author      whoever understands, for a job, what was written
    journal     the directory of a job: what it is, and what was said
    summary     what a job is at a moment: its steps, containers and services
    hearing     what happens in a job on its way: masked, into summary and journal, to whoever listens
    holdings    the containers of a job: whose they are, who waits for them, who asked for their end
    mask        the secrets that a job has used, and *** in their place
    runner      what code may ask of the job that runs it
    relay       tells the step that uses the engine what the engine says
    checkout    where a repository is on this host
    trigger     what starts a template by itself: a schedule, or something that happened in a repository
    happening   what was seen in a repository between two looks
    lock        which digest each tag of an image meant (polytope.lock)
"""
