"""deploy/systemd: the unit is one, its sandbox is strict, and the gateway asks for nothing that it forbids."""

import pathlib
import re

from ground import DEPLOY, GATEWAY, ROOT, Gateway, relocated, request, run, secrets_of, signed

UNIT = DEPLOY / "systemd/interlingua.service"
# In tenths. What is left is the network and local sockets, which a server needs, and the system's programs.
THRESHOLD = 12


def check(scratch):
    unit = scratch / UNIT.name
    unit.write_text(relocated(UNIT.read_text(), ("/usr/local/bin/interlingua", GATEWAY)))
    said = run("systemd-analyze", "verify", "--man=no", unit)
    assert said.strip() == "", said
    security = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={THRESHOLD}", UNIT]
    exposure = re.search(r"Overall exposure level.*: ([\d.]+)", run(*security))[1]
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.M))
    # By the README's exit codes: what another start does not mend is not tried again.
    assert settings["RestartPreventExitStatus"].split() == ["64", "65", "78"]
    assert settings["RestartForceExitStatus"] == "75"
    drain = int(re.search(r"drain_timeout_ms = (\d+)", (ROOT / "config/interlingua.toml").read_text())[1])
    assert int(settings["TimeoutStopSec"]) * 1000 > drain
    text = (UNIT.parent / "interlingua.toml").read_text()
    text = secrets_of(text, scratch / "secrets", "/run/credentials/interlingua.service/secret_")
    config = scratch / "interlingua.toml"
    config.write_text(relocated(text, ("/var/lib/interlingua/data", scratch / "data")))
    run(GATEWAY, "check", "--config", config)
    used = used_calls(config, scratch / "calls")
    refused = used - allowed_calls()
    assert not refused, f"the unit's SystemCallFilter forbids {', '.join(sorted(refused))}"
    return f"exposure {exposure} ({THRESHOLD / 10} at most), {len(used)} system calls, all of them allowed"


def used_calls(config, summary):
    """The system calls of a gateway that starts, serves, loads its configuration anew and stops."""
    before = ["strace", "-f", "-qq", "-c", "-U", "name", "-o", summary]
    with Gateway(config, before=before) as gateway:
        body = {"email": "jane.doe@example.com", "givenName": "Jane"}
        assert signed(config, gateway.url, "POST", "/api/v1/users", "operator", body)[0] == 201
        assert signed(config, gateway.url, "GET", "/api/v1/users?limit=1", "operator")[0] == 200
        assert request(gateway.admin + "/metrics")[0] == 200
        tracer = gateway.process.pid
        [child] = pathlib.Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
        run("kill", "-HUP", child)
        run(GATEWAY, "backup", summary.with_name("backup"), "--config", config)
        run("kill", "-TERM", child)
        assert gateway.process.wait() == 0
    names = {line.strip() for line in summary.read_text().splitlines()}
    return {name for name in names if re.fullmatch(r"[a-z]\w+", name)} - {"syscall", "total"}


def allowed_calls():
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.M):
        names = set().union(*map(calls_of, line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def calls_of(name):
    """A system call, or all of a group's."""
    if not name.startswith("@"):
        return {name}
    lines = run("systemd-analyze", "syscall-filter", name).splitlines()[1:]
    members = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return set().union(*map(calls_of, members))
