"""Gateways that between them have every metric there is, and what makes these count: one over the embedded store
with every server that a gateway asks, and one in front of another that keeps the users."""

import contextlib
import http.client
import http.server
import json
import threading
import time

from ground import GATEWAY, ROOT, Gateway, free_port, process, relocated, request, run, signed, wait_until

# A valid public key, of RFC 8037, A.2.
KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}


class Other(http.server.BaseHTTPRequestHandler):
    """Other servers in one: an issuer that knows no token, a collector that takes all spans, and the server that was
    there before. Whatever else it is asked it leaves without an answer."""

    ANSWERS = {"/keys": KEYS, "/ask": {"active": False}, "/v1/traces": {}, "/api/v1/legacy": {"is": "old"}}

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        if self.path in self.ANSWERS:
            body = json.dumps(self.ANSWERS[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def other():
    """Such a server; gives where it is."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def secret_file(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return f"file:{path}"


@contextlib.contextmanager
def whole(scratch):
    """A gateway over the embedded store with TLS, a webhook, and issuers of both kinds."""
    hook = free_port()
    key, certificate = scratch / "tls.key", scratch / "tls.crt"
    pair = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate]
    run("openssl", "req", "-x509", *pair, "-days", 1, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    key.chmod(0o600)
    secret = secret_file(scratch / "introspection", "0123456789abcdef" * 4)
    text = (ROOT / "config/interlingua.toml").read_text()
    marked = '# Another server that is asked before an update through this mount is committed; default: none.\n'
    tls = f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n\n[log]'
    config = scratch / "interlingua.toml"
    receiver = [GATEWAY, "webhook-receiver", "--secret", "demo-webhook-secret", "--listen", f"127.0.0.1:{hook}"]
    with other() as issuer, process(scratch / "hook.log", *receiver):
        config.write_text(relocated(text, (marked, marked + asked(hook, issuer, secret)), ("[log]", tls)))
        with Gateway(config, "--data", scratch / "data") as gateway:
            wait_until("it has the issuer's keys", lambda: request(gateway.admin + "/readyz")[0] == 200)
            yield gateway


def asked(hook, issuer, secret):
    """Of a mount: a webhook, and clients whose tokens are an issuer's."""
    return f"""
[mount.webhook]
url = "http://127.0.0.1:{hook}/validate"
secret = "demo-webhook-secret"
allow_private = true

[[mount.client]]
name = "keys"
jwks_url = "{issuer}/keys"
algorithm = "EdDSA"
issuer = "{issuer}"
audience = "users"
allow_private = true

[[mount.client]]
name = "opaque"
introspection_url = "{issuer}/ask"
introspection_client_id = "interlingua"
introspection_secret = "{secret}"
allow_private = true
"""


def use_whole(gateway):
    config, url = gateway.config, gateway.url
    change = {"update": {"bio": f"Now {time.monotonic_ns()}"}}
    status, body = signed(config, url, "PATCH", "/social/proj1234/users/67890", "demo-service", change)
    assert status == 200, body
    # A token that nobody knows is asked about.
    opaque = {"Authorization": f"Bearer nobody-{time.monotonic_ns()}"}
    status, body = request(f"{url}/social/proj1234/users/67890", headers=opaque)
    assert status == 403, f"{status} {body}"
    assert signed(config, url, "GET", "/api/v1/users?limit=1", "demo-admin")[0] == 200
    with contextlib.suppress(OSError, http.client.HTTPException):
        request(url.replace("https:", "http:"))


@contextlib.contextmanager
def front(scratch):
    """A gateway in front of another, traced, with a mount that passes on what it has no path for."""
    keeps = scratch / "keeps.toml"
    keeps.write_text((ROOT / "config/interlingua.toml").read_text())
    config, mount = scratch / "front.toml", 'prefix = "/api/v1"\n'
    with other() as legacy, Gateway(keeps, "--data", scratch / "users") as behind:
        text = relocated(
            (ROOT / "config/upstream.toml").read_text(),
            ("env:INTERLINGUA_UPSTREAM_URL", secret_file(scratch / "url", f"{behind.url}/api/v1")),
            ("env:INTERLINGUA_UPSTREAM_TOKEN", secret_file(scratch / "token", "demo-gateway-token")),
            ("[store]\n", f'[otel]\nendpoint = "{legacy}"\ninterval_ms = 100\n\n[store]\n'),
            (mount, f'{mount}passthrough = "{legacy}"\n'),
        )
        config.write_text(text)
        with Gateway(config, "--data", scratch / "ledger") as gateway:
            gateway.behind = behind
            yield gateway


def use_front(gateway):
    user = {"email": f"jane.{time.monotonic_ns()}@example.com", "givenName": "Jane"}
    status, body = signed(gateway.config, gateway.url, "POST", "/api/v1/users", "demo-admin", user)
    assert status == 201, f"{status} {body}"
    assert request(f"{gateway.url}/api/v1/legacy") == (200, '{"is": "old"}')
    status, body = request(f"{gateway.url}/api/v1/broken")
    assert status == 502, f"{status} {body}"


def use_in_vain(gateway):
    status, body = signed(gateway.config, gateway.url, "GET", "/api/v1/users?limit=1", "demo-admin")
    assert status == 503, f"{status} {body}"
