"""deploy/compose: valid for docker compose itself, harmless for compose-lint, and what must be true of it."""

import json
import os
import re
import stat
import subprocess

from ground import DEPLOY, IS_ROOT, run, secrets_of, GATEWAY

FOLDER = DEPLOY / "compose"
FILE = FOLDER / "compose.yaml"


def check(scratch):
    run("docker-compose", "--file", FILE, "config", "--quiet")
    run("compose-lint", FILE)
    run("haproxy", "-c", "-f", FOLDER / "haproxy.cfg", env=os.environ | {"LD_LIBRARY_PATH": os.environ["LIBRARIES"]})
    run("bash", "-n", FOLDER / "start")
    config = json.loads(run("docker-compose", "--file", FILE, "config", "--format", "json"))
    services = config["services"]
    for name, service in services.items():
        careful(name, service)
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"balancer", "grafana"}, published
    assert all(port["host_ip"] == "127.0.0.1" for ports in published.values() for port in ports)
    assert services["gateway"]["deploy"]["replicas"] == 2
    # The gateways believe the balancer, wherever its network is.
    subnet = config["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert f'trusted_proxies = ["{subnet}"]' in (FOLDER / "interlingua.toml").read_text()
    for file in [path for service in services.values() for path in sources(service)]:
        assert os.path.exists(file), f"{file} is mounted, and is not there"
    made = credentials(scratch / "credentials")
    grounded(scratch, made)
    return f"valid, {len(services)} services, {len(made)} credentials"


def careful(name, service):
    """No service has rights, writes beside its volumes, takes what it likes, or knows a secret by environment."""
    assert service["read_only"] and service["cap_drop"] == ["ALL"], name
    assert "no-new-privileges:true" in service["security_opt"], name
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory", "pids"} <= set(limits), f"{name} has no limit of {limits}"
    assert service["restart"] in ("unless-stopped", "on-failure:5"), name
    secret = re.compile("(PASSWORD|SECRET|TOKEN|KEY)$")
    assert not [key for key in service.get("environment") or {} if secret.search(key)], name
    assert service["image"] == "interlingua:local" or re.search(r":v?\d+[\d.]*(-\w+)?$", service["image"]), name
    is_once = service["restart"] != "unless-stopped"
    is_ours = service["image"] == "interlingua:local"
    assert is_once or is_ours or "test" in service["healthcheck"], f"{name} has no health check"


def sources(service):
    return [volume["source"] for volume in service.get("volumes", []) if volume["type"] == "bind"]


def make(folder):
    """Runs the service `credentials` over a folder; who is not root gives nothing away."""
    environment = os.environ | {"CREDENTIALS": str(folder)}
    if not IS_ROOT:
        shim = folder.parent / "shim"
        shim.mkdir(exist_ok=True)
        (shim / "chown").write_text("#!/bin/sh\n")
        (shim / "chown").chmod(0o755)
        environment["PATH"] = f"{shim}:{environment['PATH']}"
    run(FOLDER / "credentials", "make", env=environment)
    return environment


def credentials(folder):
    """Each for its user alone, of 256 bits, another every time, and the same for ever."""
    environment = make(folder)
    found = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    owners = {"interlingua": 65532, "postgres": 999, "valkey": 999, "grafana": 472}
    for name, path in found.items():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, name
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, name
        assert not IS_ROOT or path.stat().st_uid == path.parent.stat().st_uid == owners[name.parts[0]], name
        assert re.search(r"[0-9a-f]{64}", path.read_text()), name
    before = {name: path.read_text() for name, path in found.items()}
    own = [text for text in before.values() if len(text) == 64]
    assert len(set(own)) == len(own)
    # One that is renewed is another, and no other is touched.
    (folder / "interlingua/rest-token").unlink()
    make(folder)
    after = {name: path.read_text() for name, path in found.items()}
    assert [str(name) for name in before if before[name] != after[name]] == ["interlingua/rest-token"]
    shown = run(FOLDER / "credentials", "show", "interlingua/rest-token", env=environment)
    assert shown == (folder / "interlingua/rest-token").read_text()
    return found


def grounded(scratch, made):
    """The configuration refers to what is made, and to nothing else; and it is one."""
    text = (FOLDER / "interlingua.toml").read_text()
    wanted = set(re.findall(r"file:/run/secrets/(interlingua/[\w-]+)", text))
    assert wanted == {str(name) for name in made if name.parts[0] == "interlingua"}
    path = scratch / "interlingua.toml"
    path.write_text(secrets_of(text, scratch / "other").replace("limits-url", "limits"))
    (scratch / "other/limits").write_text("valkey://:secret@valkey:6379/0")
    (scratch / "other/limits").chmod(0o600)
    run(GATEWAY, "check", "--config", path)
