"""What all checks stand on: where things are, and processes that end with the check."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
GATEWAY = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug/interlingua"
IS_ROOT = os.getuid() == 0
# Longer than anything takes that is well.
PATIENCE = 60


def run(*command, **options):
    """What a command prints; one that fails is a failed check."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
    done = subprocess.run(list(map(str, command)), **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def unpacked():
    """The environment of programs that are unpacked, and not installed."""
    known = os.environ.get("LD_LIBRARY_PATH")
    return os.environ | {"LD_LIBRARY_PATH": ":".join(filter(None, [os.environ["LIBRARIES"], known]))}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(what, condition):
    """Waits until a condition is true, and gives what it came to."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.1)
    return found


@contextlib.contextmanager
def process(log, *command, **options):
    """A process that is ended at the end, with those it started; its output is in the file `log`."""
    options = {"start_new_session": True, "stderr": subprocess.STDOUT} | options
    with open(log, "wb") as output:
        child = subprocess.Popen(list(map(str, command)), stdout=output, **options)
        try:
            yield child
        finally:
            end(child)


def end(child):
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)


class Gateway:
    """A gateway by a configuration, on ports of its own, until the `with` ends."""

    def __init__(self, config, *arguments, before=()):
        self.config, self.log = config, config.with_suffix(f".{free_port()}.log")
        listen = ("--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0")
        self.command = [*before, GATEWAY, "serve", "--config", config, *listen, *arguments]

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.process = self.stack.enter_context(process(self.log, *self.command))
        self.url, self.admin = wait_until("the gateway listens", self.addresses)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def addresses(self):
        log = self.log.read_text(errors="replace")
        assert self.process.poll() is None, f"the gateway did not start:\n{log}"
        found = re.search(r"listening on (https?://[\w.:]+)\nadmin on (http://[\w.:]+)", log)
        return found and found.groups()


def request(url, method="GET", headers=None, body=None):
    """One request: the status and the body."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        # A certificate of our own making.
        trust = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(parts.netloc, timeout=PATIENCE, context=trust)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE)
    with contextlib.closing(connection):
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def signed(config, url, method, path, client, body=None, headers=None):
    """One request with a client's credentials, which are the words of the command that `interlingua sign` prints."""
    order = [GATEWAY, "sign", method, url + path, "--client", client, "--config", config]
    text = None if body is None else json.dumps(body)
    words = shlex.split(run(*order, *([] if text is None else ["--body", text]), stderr=subprocess.DEVNULL))
    fields = [word for flag, word in zip(words, words[1:]) if flag == "-H"]
    sent = dict(field.split(": ", 1) for field in fields)
    return request(url + path, method, sent | (headers or {}), text)


def relocated(text, *pairs):
    """A text with each word replaced by another, and each of them there."""
    for old, new in pairs:
        assert old in text, f"`{old}` is not there any more"
        text = text.replace(old, str(new))
    return text


def secrets_of(text, folder, where="/run/secrets/interlingua/"):
    """Makes each secret that a configuration refers to in a folder; the configuration that refers to those."""
    folder.mkdir(exist_ok=True)
    values = {"postgres-url": "postgresql://interlingua:secret@127.0.0.1:1/interlingua", "upstream-url": "http://127.0.0.1:1/v1"}
    for name in re.findall(re.escape(f"file:{where}") + r"([\w-]+)", text):
        path = folder / name
        path.write_text(values.get(name, os.urandom(32).hex()))
        path.chmod(0o600)
    return relocated(text, (where, f"{folder}/"))
