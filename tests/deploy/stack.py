"""deploy/compose at work, without containers: its credentials, its SQL, its configurations, each read by the
program that it is for. Addresses alone are others."""

import contextlib
import os
import re
import shutil
import uuid

import compose
from ground import (
    DEPLOY,
    GATEWAY,
    IS_ROOT,
    Gateway,
    free_port,
    process,
    relocated,
    request,
    run,
    signed,
    unpacked,
    wait_until,
)

FOLDER = DEPLOY / "compose"
PARTNER = {
    "externalId": "a-partner's",
    "email": "jane.doe@example.com",
    "firstName": "Jane",
    "lastName": "Doe",
    "dateOfBirth": "1990-05-15",
    "addressLine1": "123 Main St",
    "city": "Toronto",
    "postalCode": "M5V 2T6",
    "province": "ON",
    "country": "CA",
    "occupation": "Engineer",
    "isCiroAffiliate": False,
}


def check(scratch):
    with Stack(scratch) as stack:
        stack.use(stack.url)
        # The command that `start` prints.
        token = stack.secret("interlingua/rest-token")
        status, body = request(f"{stack.url}/api/v1/users?limit=1", headers={"Authorization": f"Bearer {token}"})
        assert status == 200 and "jane.doe@example.com" in body, body
        # Its role makes no other database, and others come into none of its.
        assert "f" == stack.sql("SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = 'interlingua'")
        for gateway in stack.gateways:
            assert run(GATEWAY, "probe", "--admin", gateway.admin.removeprefix("http://")) == "ready\n"
            assert "interlingua_limits_shared 1\n" in request(gateway.admin + "/metrics")[1]
        # One goes, and the balancer sends nobody to it any more.
        stack.gateways[0].process.terminate()
        stack.gateways[0].process.wait()
        for _ in range(20):
            assert request(f"{stack.url}/api/v1/users?limit=1", headers={"Authorization": f"Bearer {token}"})[0] == 200
    return "credentials, PostgreSQL, limits, migrate, two gateways and the balancer work together"


class Stack:
    """All of compose.yaml that requests pass through."""

    def __init__(self, scratch):
        self.scratch, self.made = scratch, scratch / "credentials"
        self.ports = {name: free_port() for name in ("postgres", "valkey", "balancer", "alive")}

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            compose.make(self.made)
            self.postgres(stack)
            self.valkey(stack)
            self.config = self.configuration()
            run(GATEWAY, "migrate", "--config", self.config)
            self.gateways = [stack.enter_context(Gateway(self.config)) for _ in range(2)]
            self.balancer(stack)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def secret(self, name):
        return (self.made / name).read_text()

    def postgres(self, stack):
        """A server as its image makes one; the image's user is the package's here."""
        data, password = self.scratch / "postgres", self.scratch / "postgres-password"
        data.mkdir()
        password.write_text(self.secret("postgres/superuser-password"))
        self.user = []
        if IS_ROOT:
            for path in (data, password):
                shutil.chown(path, "postgres", "postgres")
            self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        options = ["--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync", "-D", data / "db"]
        run(*self.user, "initdb", *options, cwd=data)
        log = self.scratch / "postgres.log"
        server = ["postgres", "-D", data / "db", "-k", data, "-p", self.ports["postgres"]]
        stack.enter_context(process(log, *self.user, *server, cwd=data))
        ready = ["pg_isready", "--quiet", "--host=127.0.0.1", f"--port={self.ports['postgres']}"]
        wait_until("the database is there", lambda: os.spawnvp(os.P_WAIT, ready[0], ready) == 0)
        script = self.scratch / "postgres.sql"
        secret = ("/run/secrets/postgres/password", self.made / "postgres/password")
        script.write_text(relocated((FOLDER / "postgres.sql").read_text(), secret))
        self.psql("--file", script)

    def psql(self, *arguments):
        """As the image's entrypoint runs what makes a database."""
        known = {"PGPASSWORD": self.secret("postgres/superuser-password")}
        where = ["--host=127.0.0.1", f"--port={self.ports['postgres']}", "--username=postgres", "--dbname=postgres"]
        return run("psql", "-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", *where, *arguments, env=os.environ | known)

    def sql(self, query):
        return self.psql("--tuples-only", "--no-align", "--command", query).strip()

    def valkey(self, stack):
        server = "valkey-server" if shutil.which("valkey-server") else "redis-server"
        command = [server, self.made / "valkey/valkey.conf", "--bind", "127.0.0.1", "--port", self.ports["valkey"]]
        stack.enter_context(process(self.scratch / "valkey.log", *command, env=unpacked(), cwd=self.scratch))

    def configuration(self):
        """The gateways' configuration and secrets, with the addresses of this machine."""
        secrets = self.scratch / "secrets"
        shutil.copytree(self.made / "interlingua", secrets)
        for name, host in (("postgres-url", "@postgres/"), ("limits-url", "@valkey:6379/")):
            port = self.ports[name.replace("limits", "valkey").removesuffix("-url")]
            (secrets / name).write_text(relocated((secrets / name).read_text(), (host, f"@127.0.0.1:{port}/")))
        path = self.scratch / "interlingua.toml"
        text = (FOLDER / "interlingua.toml").read_text()
        path.write_text(relocated(text, ("/run/secrets/interlingua", secrets), ("10.203.117.0/24", "127.0.0.1")))
        return path

    def balancer(self, stack):
        """Two servers by name instead of those that Docker's name server knows of."""
        text = (FOLDER / "haproxy.cfg").read_text()
        text = relocated(
            text,
            ("bind :8080", f"bind 127.0.0.1:{self.ports['balancer']}"),
            ("127.0.0.1:8404", f"127.0.0.1:{self.ports['alive']}"),
            ("check port 8081", "check"),
            (" resolvers docker init-addr none", ""),
        )
        servers = []
        for number, gateway in enumerate(self.gateways):
            address, admin = gateway.url.removeprefix("http://"), gateway.admin.rpartition(":")[2]
            servers.append(f"    server gateway-{number} {address} port {admin}")
        text, count = re.subn(r"^    server-template .*$", "\n".join(servers), text, flags=re.M)
        assert count == 1
        path = self.scratch / "haproxy.cfg"
        path.write_text(text)
        stack.enter_context(process(self.scratch / "haproxy.log", "haproxy", "-db", "-f", path, env=unpacked()))
        self.url = f"http://127.0.0.1:{self.ports['balancer']}"
        wait_until("the balancer has a gateway", self.balances)

    def balances(self):
        with contextlib.suppress(OSError):
            return request(f"{self.url}/api/v1/users")[0] == 401

    def use(self, url):
        """Requests in several dialects, good and bad."""
        user = {"email": "jane.doe@example.com", "givenName": "Jane"}
        partner = PARTNER | {"externalId": os.urandom(8).hex(), "unknown": 1}
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for wanted, *order in [
            (201, "POST", "/api/v1/users", "operator", user),
            (200, "GET", "/api/v1/users?limit=1", "operator"),
            (201, "POST", "/partner/v1/users", "first-partner", partner, key),
            (201, "POST", "/partner/v1/users", "first-partner", partner, key),
            (409, "POST", "/partner/v1/users", "first-partner", partner),
            (404, "GET", "/social/first-project/users/nobody", "social-service"),
            (404, "GET", "/user/2025-1/users/00000000-0000-4000-8000-000000000000", "user-access"),
        ]:
            status, body = signed(self.config, url, *order)
            assert status == wanted, f"{order[:3]} was answered {status}: {body}"
        assert request(f"{url}/api/v1/users")[0] == 401
