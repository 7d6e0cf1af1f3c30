"""Jobs: steps, their states, what happens in them, and who may look."""
