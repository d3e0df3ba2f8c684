"""deploy/container: the rules of hadolint; and what the image is, as far as that shows without a builder: the
binary alone with what the base image brings, as a user without rights who can write to its data only."""

import fnmatch
import os
import re
import shutil
import subprocess
import time

from ground import DEPLOY, GATEWAY, IS_ROOT, ROOT, free_port, process, run, wait_until

FILE = DEPLOY / "container/Containerfile"
# What distroless/cc has: glibc and the compiler's libraries.
BASE = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1"}
USER = 65532


def check(scratch):
    run("hadolint", "--config", DEPLOY / "container/hadolint.yaml", FILE)
    pinned()
    sent()
    return "hadolint is content, and the binary runs, probes and stops in a bare root: " + bare(scratch)


def pinned():
    """The compiler is the one that the repository names, no base is just any, and the user is not root."""
    text = FILE.read_text()
    assert ":latest" not in text and "USER 65532:65532\n" in text
    wanted = re.search(r'channel = "([\d.]+)"', (ROOT / "rust-toolchain.toml").read_text())[1]
    assert f"ARG RUST={wanted}\n" in text, f"the Containerfile does not build with Rust {wanted}"


def sent():
    """All that cargo reads is sent to the builder, and nothing that is no source."""
    rules = (FILE.parent / "Containerfile.dockerignore").read_text().splitlines()
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    assert "*" in rules and "**/target" in rules
    tracked = run("git", "ls-files", cwd=ROOT).splitlines()
    is_sent = lambda path: any(path == keep or fnmatch.fnmatch(path, f"{keep}/*") for keep in kept)
    wanted = [path for path in tracked if re.match(r"Cargo\.(toml|lock)$|crates/|tests/(Cargo\.toml|src/)", path)]
    assert wanted and all(map(is_sent, wanted))
    assert not any(map(is_sent, [path for path in tracked if path.startswith(("config/", "deploy/", "scripts/"))]))


def bare(scratch):
    root, port = scratch / "root", free_port()
    for folder in ("usr/local/bin", "etc/interlingua", "var/lib/interlingua"):
        (root / folder).mkdir(parents=True)
    shutil.copy(GATEWAY, root / "usr/local/bin/interlingua")
    shutil.copy(ROOT / "config/interlingua.toml", root / "etc/interlingua/interlingua.toml")
    for name, path in re.findall(r"(\S+) (?:=> )?(/\S+)", run("ldd", GATEWAY).replace("\t", "")):
        name = os.path.basename(name)
        assert name in BASE or name.startswith("ld-linux"), f"the base image has no {name}"
        (root / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path[1:])
    # The loader's own line names its place alone.
    loader = re.search(r"^\s*(/\S+ld-linux\S+)", run("ldd", GATEWAY), re.M)[1]
    (root / loader[1:]).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(loader, root / loader[1:])
    enter = ["unshare", "--user", "--map-root-user", "chroot", root]
    if IS_ROOT:
        os.chown(root / "var/lib/interlingua", USER, USER)
        enter = ["chroot", f"--userspec={USER}:{USER}", root]
    admin = f"127.0.0.1:{port}"
    inside = [*enter, "/usr/local/bin/interlingua"]
    serve = ["serve", "--config", "/etc/interlingua/interlingua.toml", "--data", "/var/lib/interlingua/data"]
    probe = [*map(str, inside), "probe", "--admin", admin]
    with process(scratch / "log", *inside, *serve, "--listen", "127.0.0.1:0", "--admin", admin) as child:
        wait_until("it is ready", lambda: child.poll() is None and subprocess.run(probe, capture_output=True).returncode == 0)
        child.terminate()
        assert child.wait() == 0, (scratch / "log").read_text()
    assert subprocess.run(probe, capture_output=True).returncode == 69
    written = [path for path in root.rglob("*") if path.is_file() and path.stat().st_mtime > time.time() - 30]
    outside = [path for path in written if "var/lib/interlingua" not in str(path)]
    known = {"interlingua", "interlingua.toml"} | BASE
    assert all(path.name in known or path.name.startswith("ld-linux") for path in outside), outside
    return f"{(GATEWAY.stat().st_size >> 20)} MiB with the symbols of a debug build"
