"""deploy/prometheus and deploy/grafana: rules by promtool; and every query of the dashboard and of the alerts asked
of a Prometheus that watches gateways at work, over both stores and with every other server there is."""

import contextlib
import functools
import http.server
import json
import re
import threading
import time
import urllib.parse

import yaml

import stack
from ground import DEPLOY, GATEWAY, ROOT, Gateway, free_port, process, relocated, request, run, signed, unpacked, wait_until

FOLDER = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana/dashboard.json"
# Of the parts of Grafana that stand in queries.
VARIABLES = {"$__rate_interval": "20s", "$__range": "1m", "$instance": ".*", "$mount": ".*"}


def alerts(_):
    run("promtool", "check", "config", FOLDER / "prometheus.yml")
    run("promtool", "check", "rules", FOLDER / "alerts.yml")
    run("promtool", "test", "rules", FOLDER / "alerts.test.yml")
    for rule in rules():
        assert rule["labels"].keys() == {"severity"} and rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
    tested = set(re.findall(r"alertname: (\w+)", (FOLDER / "alerts.test.yml").read_text()))
    return f"{len(rules())} alerts, {len(tested)} of them with unit tests"


def rules():
    return yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]


def queries():
    """Each query of the dashboard, by its panel; the dashboard is one that Grafana takes as it is."""
    board = json.loads(DASHBOARD.read_text())
    assert board["uid"] == "interlingua" and board["id"] is None and board["schemaVersion"] >= 39
    known = {variable["name"] for variable in board["templating"]["list"]}
    panels = board["panels"]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers)
    spots, found = set(), []
    for panel in panels:
        place = panel["gridPos"]
        spot = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not spot & spots, f"{panel['title']} lies on another panel"
        spots |= spot
        targets = panel.get("targets", [])
        assert panel["title"] and (targets or panel["type"] == "row")
        assert len({target["refId"] for target in targets}) == len(targets)
        for target in targets:
            assert target["datasource"]["uid"] == "${datasource}"
            used = set(re.findall(r"\$\{?(\w+)", target["expr"])) - {"__rate_interval", "__range"}
            assert used <= known, f"{panel['title']} uses {used - known}"
            found.append((panel["title"], target["expr"]))
    return found + [("the annotation", note["expr"]) for note in board["annotations"]["list"]]


def check(scratch):
    (scratch / "stack").mkdir()
    (scratch / "whole").mkdir()
    with stack.Stack(scratch / "stack") as two, whole(scratch / "whole") as one:
        gateways = [*two.gateways, one]
        with prometheus(scratch, [gateway.admin for gateway in gateways]) as ask:
            # Twice, with a look between them: a rate needs two.
            for _ in range(3):
                two.use(two.gateways[0].url)
                two.use(two.gateways[1].url)
                use_whole(one)
                time.sleep(1.5)
            named(gateways)
            empty = [f"{title}: {query}" for title, query in queries() if not answered(ask, query)]
            empty = [line for line in empty if not line.startswith("the annotation: ")]
            assert not empty, "these are answered by nothing:\n" + "\n".join(empty)
            for rule in rules():
                answered(ask, rule["expr"])
            evaluated(ask)
    return f"{len(queries())} queries of the dashboard answered, {len(rules())} alerts evaluated, every metric is there"


def answered(ask, query):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    answer = ask("query", query=query)
    assert answer["status"] == "success", f"{query}: {answer.get('error')}"
    return answer["data"]["result"]


def evaluated(ask):
    def groups():
        found = [rule for group in ask("rules")["data"]["groups"] for rule in group["rules"]]
        return all(rule["health"] != "unknown" for rule in found) and found

    found = wait_until("the rules are evaluated", groups)
    assert len(found) == len(rules())
    assert all(rule["health"] == "ok" for rule in found), found
    up = ask("targets")["data"]["activeTargets"]
    assert {target["labels"]["job"] for target in up} == {"interlingua"}
    assert all(target["health"] == "up" for target in up), up


def named(gateways):
    """Every metric that is asked for is one that a gateway has."""
    text = "".join(request(gateway.admin + "/metrics")[1] for gateway in gateways)
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    there = set(types) | {f"{name}{end}" for name, kind in types.items() if kind == "histogram" for end in ("_bucket", "_sum", "_count")}
    asked = [query for _, query in queries()] + [rule["expr"] for rule in rules()]
    wanted = {name for query in asked for name in re.findall(r"\binterlingua_\w+", query)}
    assert wanted and wanted <= there, f"no gateway has {', '.join(sorted(wanted - there))}"


@contextlib.contextmanager
def prometheus(scratch, admins):
    """One that is configured as in `deploy`, but asks these gateways, and often; gives a way to ask it."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "500ms", "evaluation_interval": "500ms"}
    config["rule_files"] = [str(FOLDER / "alerts.yml")]
    [job] = config["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [admin.removeprefix("http://") for admin in admins]}]
    path, port = scratch / "prometheus.yml", free_port()
    path.write_text(yaml.safe_dump(config))
    command = ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={scratch}/tsdb"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")

    def ask(what, **parameters):
        url = f"http://127.0.0.1:{port}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        return json.loads(request(url)[1])

    def is_ready():
        with contextlib.suppress(OSError):
            return request(f"http://127.0.0.1:{port}/-/ready")[0] == 200

    with process(scratch / "prometheus.log", *command, env=unpacked()):
        wait_until("Prometheus is ready", is_ready)
        yield ask


class Issuer(http.server.BaseHTTPRequestHandler):
    """Publishes a key, and knows no token."""

    # A valid public key, of RFC 8037, A.2.
    KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = functools.partialmethod(answer, KEYS)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"active": False})

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def whole(scratch):
    """A gateway over the embedded store with TLS, a webhook, and issuers of both kinds."""
    issuer, hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer), free_port()
    threading.Thread(target=issuer.serve_forever, daemon=True).start()
    key, certificate = scratch / "tls.key", scratch / "tls.crt"
    pair = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate]
    run("openssl", "req", "-x509", *pair, "-days", 1, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    key.chmod(0o600)
    secret = scratch / "introspection"
    secret.write_text("0123456789abcdef" * 4)
    secret.chmod(0o600)
    text = (ROOT / "config/interlingua.toml").read_text()
    where = f"http://127.0.0.1:{issuer.server_port}"
    others = f"""
[mount.webhook]
url = "http://127.0.0.1:{hook}/validate"
secret = "demo-webhook-secret"
allow_private = true

[[mount.client]]
name = "keys"
jwks_url = "{where}/keys"
algorithm = "EdDSA"
issuer = "{where}"
audience = "users"
allow_private = true

[[mount.client]]
name = "opaque"
introspection_url = "{where}/ask"
introspection_client_id = "interlingua"
introspection_secret = "file:{secret}"
allow_private = true
"""
    marked = '# Another server that is asked before an update through this mount is committed; default: none.\n'
    tls = f'[server.tls]\ncertificate = "{certificate}"\nkey = "{key}"\n\n[log]'
    config = scratch / "interlingua.toml"
    config.write_text(relocated(text, (marked, marked + others), ("[log]", tls)))
    receiver = [GATEWAY, "webhook-receiver", "--secret", "demo-webhook-secret", "--listen", f"127.0.0.1:{hook}"]
    try:
        with process(scratch / "hook.log", *receiver), Gateway(config, "--data", scratch / "data") as gateway:
            wait_until("it has the issuer's keys", lambda: request(gateway.admin + "/readyz")[0] == 200)
            yield gateway
    finally:
        issuer.shutdown()


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
