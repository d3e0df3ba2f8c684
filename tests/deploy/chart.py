"""deploy/helm: linted and rendered by Helm's own code, each resource held against the schemas of Kubernetes, and
what must be true of them together."""

import re
import shutil

import helm_python as helm
import kubernetes_validate
import yaml

from ground import DEPLOY, GATEWAY, run, secrets_of

CHART = DEPLOY / "helm/interlingua"
# The oldest that the chart takes, and the newest that there are schemas of.
RELEASES = ("1.30", kubernetes_validate.latest_version())
# Of the Prometheus operator, whose schemas are in no registry: their shape is checked below.
OPERATORS = {"ServiceMonitor", "PrometheusRule"}
# Values that nobody should be able to install.
BAD = [
    {"store": "sqlite"},
    {"store": "embedded"},
    {"store": "upstream"},
    {"store": "upstream", "config": '[store]\nkind = "upstream"\n\n[store.upstream]\nledger = "embedded"\n'},
    {"store": "postgres", "config": '[store]\nkind = "upstream"\n\n[store.upstream]\nledger = "postgres"\n'},
    {"replicaCount": 0},
    {"replicas": 2},
    {"config": ""},
    {"existingSecret": ""},
    {"image": {"repository": "interlingua", "digest": "latest"}},
    {"autoscaling": {"enabled": True, "minReplicas": 2, "maxReplicas": 4}, "podDisruptionBudget": {"enabled": "yes"}},
    {"persistence": {"accessModes": ["ReadWriteMany"]}},
]
POSTGRES = {"ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Job", "PodDisruptionBudget", "Service", "ServiceAccount"}
EXPECTED = {
    "default": POSTGRES,
    "upstream": POSTGRES,
    "embedded": {"ConfigMap", "Service", "ServiceAccount", "StatefulSet"},
    "everything": POSTGRES - {"HorizontalPodAutoscaler"} | OPERATORS | {"NetworkPolicy"},
}


def check(scratch):
    # As `helm package` would have it: files instead of links, which Helm follows, and remarks upon.
    folder = str(shutil.copytree(CHART, scratch / "interlingua"))
    count = 0
    for name, kinds in EXPECTED.items():
        path = CHART / f"ci/{name}-values.yaml"
        values = yaml.safe_load(path.read_text()) if name != "default" else {}
        resources = rendered(folder, values)
        assert {resource["kind"] for resource in resources} == kinds, name
        for resource in resources:
            valid(resource)
        together(resources, scratch)
        count += len(resources)
    for values in BAD:
        refused(folder, values)
    return f"{len(EXPECTED)} sets of values, {count} resources by Helm {helm.helm_sdk_version()}, valid for {RELEASES}"


def rendered(folder, values):
    report = helm.lint(folder, values, strict=True, kube_version=f"v{RELEASES[0]}.0")
    messages = [message["error"] for message in report["messages"] if message["severity"] > 1]
    assert not messages and not report["errors"], report
    with helm.Chart.load(folder) as chart:
        chart.validate_schema(values)
        texts = chart.render(values, name="demo", namespace="users")
    notes = texts.pop("interlingua/templates/NOTES.txt")
    assert "kubectl --namespace users" in notes and "<no value>" not in notes, notes
    return [resource for text in texts.values() for resource in yaml.safe_load_all(text) if resource]


def refused(folder, values):
    try:
        with helm.Chart.load(folder) as chart:
            chart.validate_schema(values)
            chart.render(values, name="demo", namespace="users")
    except helm.HelmError:
        return
    raise AssertionError(f"the chart takes {values}")


def valid(resource):
    if resource["kind"] in OPERATORS:
        assert resource["apiVersion"] == "monitoring.coreos.com/v1"
        return
    for release in RELEASES:
        try:
            kubernetes_validate.validate(resource, release, strict=True)
        except kubernetes_validate.ValidationError as broken:
            raise AssertionError(f"{resource['kind']} in {release}: {broken.message}") from broken


def together(resources, scratch):
    """What no schema says: parts refer to each other, nothing has rights, and the configuration is one."""
    by_kind = lambda kind: [resource for resource in resources if resource["kind"] == kind]
    names = {(resource["kind"], resource["metadata"]["name"]) for resource in resources}
    [gateway] = by_kind("Deployment") + by_kind("StatefulSet")
    pod = gateway["spec"]["template"]
    labels = pod["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
    matches = lambda selector: selector.items() <= labels.items()
    assert matches(gateway["spec"]["selector"]["matchLabels"])
    for service in by_kind("Service"):
        assert matches(service["spec"]["selector"]) and service["spec"]["ports"][0]["targetPort"] in ports
    for budget in by_kind("PodDisruptionBudget"):
        assert matches(budget["spec"]["selector"]["matchLabels"])
    for policy in by_kind("NetworkPolicy"):
        assert matches(policy["spec"]["podSelector"]["matchLabels"])
    for scaler in by_kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        assert (target["kind"], target["name"]) in names and "replicas" not in gateway["spec"]
    for monitor in by_kind("ServiceMonitor"):
        wanted, port = monitor["spec"]["selector"]["matchLabels"], monitor["spec"]["endpoints"][0]["port"]
        [seen] = [one for one in by_kind("Service") if wanted.items() <= one["metadata"]["labels"].items()]
        assert port == seen["spec"]["ports"][0]["name"]
    for rule in by_kind("PrometheusRule"):
        assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())
    for job in by_kind("Job"):
        assert not matches_any(by_kind("Service"), job["spec"]["template"]["metadata"]["labels"])
        careful(job["spec"]["template"]["spec"], names)
    careful(pod["spec"], names)
    probed(pod["spec"], ports)
    for config in by_kind("ConfigMap"):
        if text := config["data"].get("interlingua.toml"):
            path = scratch / "interlingua.toml"
            path.write_text(secrets_of(text, scratch / "secrets"))
            run(GATEWAY, "check", "--config", path)
            drain = re.search(r"drain_timeout_ms = (\d+)", text)
            assert int(drain[1] if drain else 25_000) < 1000 * pod["spec"]["terminationGracePeriodSeconds"]


def matches_any(services, labels):
    return any(service["spec"]["selector"].items() <= labels.items() for service in services)


def careful(pod, names):
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["fsGroup"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = pod["containers"]
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] and not rights["allowPrivilegeEscalation"]
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"] and "env" not in container
    for volume in pod["volumes"]:
        config, secret = volume.get("configMap"), volume.get("secret")
        assert not config or ("ConfigMap", config["name"]) in names
        assert not secret or secret["defaultMode"] == 0o400


def probed(pod, ports):
    """Alive and ready are asked at the admin listener, and a pod that stops has the time it needs."""
    [container] = pod["containers"]
    for probe, path in (("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        asked = container[probe]["httpGet"]
        assert asked["path"] == path and ports[asked["port"]] == 8081, probe
    assert {f"--listen=0.0.0.0:{ports['http']}", f"--admin=0.0.0.0:{ports['admin']}"} <= set(container["args"])
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > pause + 25
