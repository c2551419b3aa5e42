"""Fail when the default run's metrics are not what this comparison is known to give."""

import json
import sys
from pathlib import Path

RANGES = {
    "learned": (0.50, 0.56),
    "pretrained": (0.53, 0.61),
    "finetuned": (0.53, 0.61),
    "tfidf": (0.68, 0.75),
}


evaluation = json.loads(Path("metrics/evaluation.json").read_text())
faults = [
    f"{variant}.accuracy is {evaluation[variant]['accuracy']}, not within {low} to {high}"
    for variant, (low, high) in RANGES.items()
    if not low <= evaluation[variant]["accuracy"] <= high
]
faults += [
    f"gap.{name}.accuracy_low is {gap['accuracy_low']}, not positive"
    for name, gap in evaluation["gap"].items()
    if gap["accuracy_low"] <= 0
]
if faults:
    sys.exit("\n".join(faults))
print("metrics are as expected")
