"""The command line: the only place that prints, reads the environment and decides an exit status.

``main`` holds the one except clause, ``settings`` the one look at the environment, ``app`` what all commands
share; then one file per command, imported when that command is called.

Events become lines (``render``), JSON lines (``jsonlines``, with a schema for each kind), a live screen (``live``, of
which the **board** is the state and the look), a **profile** or **traces**. ``graph``: the picture of steps as a value.
"""
