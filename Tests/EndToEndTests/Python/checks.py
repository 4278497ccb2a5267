"""The counted checks of the scripts in this folder. The first one that fails ends its script with status 1."""
import sys

count = 0


def check(name, condition, detail=""):
    global count
    if not condition:
        print(f"FAILED {name}: {detail}")
        sys.exit(1)
    count += 1


def finish():
    """The line that the Swift tests wait for."""
    print(f"{count} checks passed")
