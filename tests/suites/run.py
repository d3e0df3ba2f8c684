"""Runs suites that others wrote; `scripts/suites` sets the stage and says how it is called."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import lint
from mounts import MOUNTS, ROOT, Gateway, document

PLACE = pathlib.Path(os.environ["SUITES"])
BINARIES = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
GATEWAY = BINARIES / "interlingua"
HERE = pathlib.Path(__file__).parent
MODULES = PLACE / "node_modules"
# Cases of each operation and phase: what fits into a test run, and what finds more in an hour.
QUICK, FULL = 15, 150
# The same cases every time, on the same day; another seed shows whether they are a matter of luck.
SEED = int(os.environ.get("SEED", "1"))
# Checks of formats of ours, by the names of the suite's files.
FORMATS = ["date", "date-time", "email", "idn-email", "uri", "uuid"]


def run(*command, **options):
    """Runs a command; its output is shown only where it fails."""
    done = subprocess.run(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )
    if done.returncode != 0:
        print(done.stdout)
    return done.returncode == 0, done.stdout


def records(name, *files):
    done, output = run(BINARIES / "suite", name, *files)
    if done:
        print(output.strip())
    return done


def json_patch(_):
    """json-patch-tests against the engine of the dialect `rest`."""
    folder = MODULES / "json-patch-test-suite"
    return records("json-patch", folder / "tests.json", folder / "spec_tests.json")


def json_parsing(scratch):
    """JSONTestSuite against the strict reader."""
    module = MODULES / "json-test-suite/index.js"
    script = f"import {{parsing}} from {json.dumps(str(module))}; console.log(JSON.stringify(parsing))"
    done, output = run("node", "--input-type=module", "-e", script)
    path = scratch / "parsing.json"
    path.write_text(output)
    return done and records("json", path)


def formats(_):
    """JSON-Schema-Test-Suite's formats against our checks of values."""
    return records("formats", *(PLACE / f"sdist/format/{name}.json" for name in FORMATS))


def documents(scratch):
    """openapi-spec-validator and Redocly's linter on the document of every mount."""
    fine = True
    for mount in MOUNTS:
        path = scratch / f"{mount}.json"
        path.write_text(json.dumps(document(GATEWAY, mount)))
        valid, _ = run("openapi-spec-validator", "--schema", "3.1", path)
        linted, output = run(MODULES / ".bin/redocly", "lint", "--config", HERE / "redocly.yaml", path)
        # A warning is a mistake, too; a rule that is too strict is switched off by name.
        if linted and "warning" in output:
            print(output)
            linted = False
        print(f"documents: {mount}: {'valid' if valid else 'INVALID'}, {'clean' if linted else 'NOT CLEAN'}")
        fine = fine and valid and linted
    return fine


def service(scratch):
    """schemathesis: every mount against its own document, each in a fresh gateway."""
    return all([against_its_document(mount, scratch) for mount in MOUNTS])


def against_its_document(mount, scratch):
    config = HERE / "schemathesis" / f"{mount}.toml"
    path = scratch / f"{mount}.openapi.json"
    path.write_text(json.dumps(document(GATEWAY, mount)))
    with Gateway(GATEWAY) as gateway:
        command = ["schemathesis", "--config-file", config, "run", path, "--url", gateway.base(mount)]
        # All checks but what the configuration says: named here, they would override it.
        command += ["--seed", SEED, "--workers", 1, "--no-color", "--continue-on-failure"]
        command += ["--max-examples", FULL if "--full" in sys.argv else QUICK]
        command += ["--generation-database", "none", "--no-shrink", "--output-sanitize", "false"]
        environment = os.environ | {"MOUNT": mount, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
        done, output = run(*command, cwd=scratch, env=environment)
        alive = gateway.process.poll() is None
    lines = [line.strip(" =") for line in output.splitlines() if line.strip(" =")]
    cases = next((line for line in lines if re.match(r"\d+ generated", line)), "no cases")
    print(f"service: {mount}: {cases}; {lines[-1]}{'' if alive else ', AND THE GATEWAY HAS ENDED'}", flush=True)
    return done and alive


def headers(_):
    """httplint on an answer of every kind of every mount."""
    with Gateway(GATEWAY) as gateway:
        return all([lint.answers(gateway, mount) for mount in MOUNTS])


SUITES = {
    "json-patch": json_patch,
    "json": json_parsing,
    "formats": formats,
    "documents": documents,
    "service": service,
    "headers": headers,
}


def main():
    named = [argument for argument in sys.argv[1:] if argument != "--full"]
    if unknown := set(named) - set(SUITES):
        print(f"scripts/suites: no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}", file=sys.stderr)
        return 64
    failed = []
    for name in named or SUITES:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="interlingua-suites-") as scratch:
            if not SUITES[name](pathlib.Path(scratch)):
                failed.append(name)
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
    if failed:
        print(f"scripts/suites: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
