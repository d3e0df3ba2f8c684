"""httplint over recorded answers: one of every kind that a mount gives."""

import json

from httplint.message import HttpRequestLinter, HttpResponseLinter
from httplint.note import levels

from mounts import MOUNTS

JSON = {"Content-Type": "application/json"}
JSON_API = {"Content-Type": "application/vnd.api+json"}
UUID = "7d3f8a52-6f6e-4c7b-9d0c-0b1a2f3e4d5c"

# How a mount's user is made (method, path, body), where it is then, and how it is changed.
USERS = {
    "partner": (
        ("POST", "/users", {
            "externalId": "lint-1", "email": "jane@example.com", "firstName": "Jane", "lastName": "Doe",
            "dateOfBirth": "1990-05-15", "addressLine1": "123 Main St", "city": "Toronto",
            "postalCode": "M5V 2T6", "province": "ON", "country": "CA", "occupation": "Engineer",
            "isCiroAffiliate": False,
        }),
        "/users/lint-1",
        {"city": "Ottawa"},
    ),
    "social": (
        ("GET", "/proj1234/users/by-foreign-id?foreignId=lint-1&createIfNotFound=true&name=Jane", None),
        "/proj1234/users/lint-1",
        {"update": {"bio": "Hello"}},
    ),
    "user": (
        ("POST", "/users", {"data": {"type": "User", "id": UUID, "attributes": {"email": "jane@example.com"}}}),
        f"/users/{UUID}",
        {"data": {"type": "User", "id": UUID, "attributes": {"gender": "other"}}},
    ),
    "supplier": (
        ("POST", "/users", {"externalId": "lint-1", "country": "US", "language": "EN"}),
        "/users/lint-1",
        [{"op": "replace", "path": "/city", "value": "Toledo"}],
    ),
    "rest": (
        ("POST", "/users", {"email": "jane@example.com"}),
        None,
        {"bio": "Hello"},
    ),
}

# Notes that stand, by what httplint calls them; the reasons are in README.md.
ALLOWED = {
    "any": {"STATUS_BAD_REQUEST"},
    "partner": {"CREATED_WITHOUT_LOCATION"},
    "social": {"CREATED_WITHOUT_LOCATION", "CREATED_SAFE_METHOD"},
    "user": set(),
    "supplier": {"CREATED_WITHOUT_LOCATION"},
    "rest": set(),
}


def answers(gateway, mount):
    """Records the answers of a mount, and lints them."""
    (method, path, body), user, update = USERS[mount]
    kind = JSON_API if MOUNTS[mount]["dialect"] == "jsonapi" else JSON
    linted, found, seen = 0, [], set()

    def exchange(method, path, content=None, headers=kind, expected=None):
        nonlocal linted
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        sent = {name: value for name, value in headers.items() if body or name != "Content-Type"}
        status, fields, raw = gateway.send(mount, method, path, body, sent)
        if expected and status not in expected:
            found.append(f"{method} is answered {status}")
        linted += 1
        seen.add(status)
        found.extend(f"{method} {status}: {note}" for note in notes(mount, method, path, sent, raw))
        return fields

    made = exchange(method, path, body, expected=[201])
    user = user or made["location"].removeprefix(gateway.base(mount).removeprefix(gateway.url))
    read = exchange("GET", user, expected=[200])
    exchange("HEAD", user, expected=[200])
    if tag := read.get("etag"):
        exchange("GET", user, headers={"If-None-Match": tag}, expected=[304])
        exchange("PATCH", user, update, kind | {"If-Match": '"stale"'}, expected=[412])
    exchange("PATCH", user, update, expected=[200])
    exchange("PATCH", user, update, kind | {"Idempotency-Key": UUID}, expected=[200])
    exchange("PATCH", user, update, kind | {"Idempotency-Key": UUID}, expected=[200])
    exchange("PATCH", user, b"{", expected=[400, 422])
    exchange("GET", user + "x", expected=[404])
    exchange("TRACE", user, expected=[405])
    exchange("GET", user, headers={name: "x" for name in CREDENTIALS}, expected=[401, 403])
    exchange("PATCH", user, update, {"Content-Type": "text/plain"}, expected=[415])
    if "location" in made:
        exchange("DELETE", user, expected=[202, 204])
    for line in sorted(set(found)):
        print(f"headers: {mount}: {line}")
    print(f"headers: {mount}: {linted} answers, statuses {', '.join(map(str, sorted(seen)))}")
    return not found


CREDENTIALS = ("Authorization", "X-Api-Key", "X-Request-Timestamp", "X-Request-Signature")


def notes(mount, method, path, sent, raw):
    """What is bad or doubtful in an answer."""
    request = HttpRequestLinter()
    request.process_request_topline(method.encode(), f"http://localhost{path}".encode(), b"1.1")
    fields = {"Host": "localhost"} | sent
    request.process_headers([(name.encode(), value.encode()) for name, value in fields.items()])
    request.finish_content(True)
    head, _, content = raw.partition(b"\r\n\r\n")
    top, *fields = head.split(b"\r\n")
    version, status, phrase = top.split(b" ", 2)
    response = HttpResponseLinter(_related=request, no_content=method == "HEAD")
    response.process_response_topline(version.removeprefix(b"HTTP/"), status, phrase)
    response.process_headers([tuple(field.split(b": ", 1)) for field in fields])
    response.feed_content(content)
    response.finish_content(True)
    allowed = ALLOWED["any"] | ALLOWED[mount]
    for note in response.notes:
        if note.level in (levels.BAD, levels.WARN) and type(note).__name__ not in allowed:
            yield f"{note.level.name} {type(note).__name__}: {note.summary}"
