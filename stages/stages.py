"""What `python stages/train.py` finds in place of the package: scripts look beside themselves."""

raise SystemExit("error: stand in the project's root and type python -m stages.NAME")
