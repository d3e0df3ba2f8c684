"""The gateway's mounts, as the suites meet them: a process on ports of its own, and how their clients sign."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import tomllib
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config/interlingua.toml"
MOUNTS = {mount["name"]: mount for mount in tomllib.loads(CONFIG.read_text())["mount"]}


class Signer:
    """Adds the credentials of a mount's first client: what the demo's configuration gives it."""

    def __init__(self, mount):
        self.client = MOUNTS[mount]["client"][0]

    def headers(self, method, target, body):
        client = self.client
        if "api_key" in client:
            moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            signed = f"{method}\n{target}\n{moment}\n".encode() + body
            signature = hmac.new(client["secret"].encode(), signed, hashlib.sha256).hexdigest()
            return {
                "X-Api-Key": client["api_key"],
                "X-Request-Timestamp": moment,
                "X-Request-Signature": signature,
            }
        if "token" in client:
            return {"Authorization": f"Bearer {client['token']}"}
        pair = f"{client.get('username', client['name'])}:{client['password']}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


class Gateway:
    """The demo's configuration with a data directory of its own, until the `with` ends."""

    def __init__(self, binary):
        self.binary = binary

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="interlingua-suites-")
        command = [self.binary, "serve", "--config", CONFIG, "--data", f"{self.folder}/data"]
        command += ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        self.log = open(f"{self.folder}/log", "wb")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log)
        self.banner = ""
        while not (found := re.search(r"listening on (http://[\w.:]+)", self.banner)):
            line = self.process.stdout.readline().decode()
            if not line:
                self.__exit__()
                raise SystemExit("the gateway did not start")
            self.banner += line
        self.url = found[1]
        # What it prints has to go somewhere, or it waits.
        threading.Thread(target=lambda: shutil.copyfileobj(self.process.stdout, self.log), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def base(self, mount):
        """Where a mount is."""
        prefix = MOUNTS[mount]["prefix"]
        return self.url + (prefix if isinstance(prefix, str) else prefix[0])

    def send(self, mount, method, path, body=b"", headers=None):
        """One signed request: the status, the headers by their names in lower case, all of it as bytes."""
        target = urllib.parse.urlsplit(self.base(mount)).path + path
        sent = Signer(mount).headers(method, target, body) | (headers or {})
        address = urllib.parse.urlsplit(self.url).netloc
        with contextlib.closing(http.client.HTTPConnection(address, timeout=10)) as connection:
            connection.request(method, target, body or None, sent)
            answer = connection.getresponse()
            content = answer.read()
        head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in answer.getheaders())
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, fields, head.encode("latin-1") + b"\r\n" + content


def document(binary, mount):
    """The OpenAPI document of a mount."""
    command = [binary, "openapi", "--mount", mount, "--config", CONFIG]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
