"""deploy/prometheus and deploy/grafana: rules by promtool; and every query of the dashboard and of the alerts asked
of a Prometheus that watches gateways at work, over every store and with every other server there is."""

import contextlib
import json
import re
import time
import urllib.parse

import yaml

import gateways
import stack
from ground import DEPLOY, free_port, process, request, run, unpacked, wait_until

FOLDER = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana/dashboard.json"
# Of the parts of Grafana that stand in queries.
VARIABLES = {"$__rate_interval": "20s", "$__range": "1m", "$instance": ".*", "$mount": ".*"}
# What gateways have, and the dashboard need not show.
UNSHOWN = {"interlingua_store_acknowledged_batch"}  # a position, which says something to `interlingua verify` alone
# The names of the series of a metric, by its type, where they are not its own.
ENDS = {"histogram": ["_bucket", "_sum", "_count"]}
# What must have been counted at the end, beyond being there.
COUNTED = [
    "interlingua_upstream_commits_total",
    "interlingua_upstream_records",
    'interlingua_passthrough_requests_total{status="2xx"}',
    'interlingua_passthrough_failures_total{cause="reset"}',
    "interlingua_spans_exported_total",
]


def alerts(_):
    run("promtool", "check", "config", FOLDER / "prometheus.yml")
    run("promtool", "check", "rules", FOLDER / "alerts.yml")
    run("promtool", "test", "rules", FOLDER / "alerts.test.yml")
    for rule in rules():
        assert rule["labels"].keys() == {"severity"} and rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
    # By what is expected of one that fires.
    tested = set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", (FOLDER / "alerts.test.yml").read_text()))
    untested = {rule["alert"] for rule in rules()} - tested
    assert not untested, f"no unit test fires {', '.join(sorted(untested))}"
    return f"{len(rules())} alerts, each with a unit test"


def rules():
    return yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]


def queries():
    """Each query of the dashboard, by its panel; the dashboard is one that Grafana takes as it is."""
    board = json.loads(DASHBOARD.read_text())
    assert board["uid"] == "interlingua" and board["id"] is None and board["schemaVersion"] >= 39
    known = {variable["name"] for variable in board["templating"]["list"]}
    # What is in a collapsed row lies below it once that is opened, and moves the others.
    rows = [board["panels"], *(panel["panels"] for panel in board["panels"] if panel.get("collapsed"))]
    panels = [panel for row in rows for panel in row]
    numbers = [panel["id"] for panel in panels]
    assert len(set(numbers)) == len(numbers)
    for row in rows:
        apart(row)
    found = []
    for panel in panels:
        targets = panel.get("targets", [])
        assert panel["title"] and (targets or panel["type"] == "row")
        assert len({target["refId"] for target in targets}) == len(targets)
        for target in targets:
            assert target["datasource"]["uid"] == "${datasource}"
            used = set(re.findall(r"\$\{?(\w+)", target["expr"])) - {"__rate_interval", "__range"}
            assert used <= known, f"{panel['title']} uses {used - known}"
            found.append((panel["title"], target["expr"]))
    return found + [("the annotation", note["expr"]) for note in board["annotations"]["list"]]


def apart(panels):
    spots = set()
    for panel in panels:
        place = panel["gridPos"]
        spot = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert place["x"] + place["w"] <= 24 and not spot & spots, f"{panel['title']} lies on another panel"
        spots |= spot


def check(scratch):
    folders = [scratch / name for name in ("stack", "whole", "front")]
    for folder in folders:
        folder.mkdir()
    with stack.Stack(folders[0]) as two, gateways.whole(folders[1]) as one, gateways.front(folders[2]) as front:
        watched = [*two.gateways, one, front]
        with prometheus(scratch, [gateway.admin for gateway in watched]) as ask:
            # It begins some seconds after it is ready.
            wait_until("every gateway is asked", lambda: len(answered(ask, "up == 1")) == len(watched))
            # Twice, with a look between them: a rate needs two.
            for _ in range(3):
                two.use(two.gateways[0].url)
                two.use(two.gateways[1].url)
                gateways.use_whole(one)
                gateways.use_front(front)
                time.sleep(1.5)
            named(watched)
            empty = [f"{title}: {query}" for title, query in queries() if not answered(ask, query)]
            empty = [line for line in empty if not line.startswith("the annotation: ")]
            assert not empty, "these are answered by nothing:\n" + "\n".join(empty)
            still = [series for series in COUNTED if not answered(ask, f"{series} > 0")]
            assert not still, f"nothing was counted by {', '.join(still)}"
            for rule in rules():
                answered(ask, rule["expr"])
            evaluated(ask)
            alarmed(ask, front)
    return f"{len(queries())} queries of the dashboard answered, {len(rules())} alerts evaluated, every metric is there and shown"


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


def alarmed(ask, front):
    """What an alert asks for is so where it should be, with real figures: here once the service behind is gone."""
    asked = {rule["alert"]: rule["expr"] for rule in rules()}
    gone = ["InterlinguaUpstreamAway", "InterlinguaUpstreamLeftAlone"]
    early = [alert for alert in asked if alert.startswith("InterlinguaUpstream") and answered(ask, asked[alert])]
    assert not early and answered(ask, asked["InterlinguaPassthroughFails"]), early
    front.behind.process.terminate()
    front.behind.process.wait()

    def all_hold():
        gateways.use_in_vain(front)
        return all(answered(ask, asked[alert]) for alert in gone)

    wait_until(f"these hold: {', '.join(gone)}", all_hold)


def named(watched):
    """Every metric that is asked for is one that a gateway has; and each that one has is on a panel."""
    text = "".join(request(gateway.admin + "/metrics")[1] for gateway in watched)
    types = dict(re.findall(r"^# TYPE (interlingua_\w+) (\w+)$", text, re.M))
    series = {f"{name}{end}": name for name, kind in types.items() for end in ENDS.get(kind, [""])}
    names = lambda asked: {name for query in asked for name in re.findall(r"\binterlingua_\w+", query)}
    shown = names(query for _, query in queries())
    wanted = shown | names(rule["expr"] for rule in rules())
    assert wanted and wanted <= set(series), f"no gateway has {', '.join(sorted(wanted - set(series)))}"
    unseen = set(types) - {series[name] for name in shown}
    assert unseen == UNSHOWN, f"on no panel: {', '.join(sorted(unseen - UNSHOWN))}; or shown, or gone: {UNSHOWN - unseen}"


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
