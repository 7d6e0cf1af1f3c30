"""Fits a line to points; the model is written to the first directory, what happened to the second."""

import json
import random
import sys
from pathlib import Path

model, logs = map(Path, sys.argv[1:3])
random.seed(1)
points = [(x, 3 * x + 2 + random.gauss(0, 0.1)) for x in [i / 50 for i in range(100)]]
slope = offset = 0.0
losses = []
for _ in range(500):
    errors = [(slope * x + offset - y, x) for x, y in points]
    losses.append(sum(e * e for e, _ in errors) / len(points))
    slope -= 0.1 * sum(e * x for e, x in errors) / len(points)
    offset -= 0.1 * sum(e for e, _ in errors) / len(points)
for directory in (model, logs):
    directory.mkdir(parents=True, exist_ok=True)
(model / "line.json").write_text(json.dumps({"slope": slope, "offset": offset}) + "\n")
(logs / "losses.json").write_text(json.dumps(losses) + "\n")
print(f"y = {slope:.2f} x + {offset:.2f}, loss {losses[-1]:.4f}")
