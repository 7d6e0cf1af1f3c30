"""Code that users write: where it runs, what it may see, and what it may cost.

The words
    evaluator   runs code for us: keeps workers, gives each piece of code its bounds of time and memory
    worker      a process that can do nothing but compute: no files, no network, no program; killed when it overdraws
    scope       what the code sees: params, inputs, and a few named values
    host        who answers what code asks of us (pt.* in JavaScript, pt/* in Clojure), call by call
"""
