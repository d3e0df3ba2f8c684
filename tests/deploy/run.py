"""Checks what is in `deploy`; `scripts/deploy` sets the stage and says how it is called."""

import pathlib
import sys
import tempfile
import time
import traceback

import chart
import compose
import container
import metrics
import stack
import systemd

# In the order of what they cost. Each is given an empty folder, and raises where something does not hold.
CHECKS = {
    "container": container.check,
    "compose": compose.check,
    "systemd": systemd.check,
    "chart": chart.check,
    "alerts": metrics.alerts,
    "stack": stack.check,
    "metrics": metrics.check,
}


def main():
    named = sys.argv[1:]
    if unknown := set(named) - set(CHECKS):
        print(f"scripts/deploy: no check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 64
    failed = []
    for name in named or CHECKS:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="interlingua-deploy-") as scratch:
            # Some parts run as users of their own.
            pathlib.Path(scratch).chmod(0o755)
            try:
                said = CHECKS[name](pathlib.Path(scratch))
            except AssertionError:
                failed.append(name)
                traceback.print_exc()
                said = "FAILED"
        print(f"{name}: {said} ({time.monotonic() - start:.0f} s)", flush=True)
    if failed:
        print(f"scripts/deploy: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
