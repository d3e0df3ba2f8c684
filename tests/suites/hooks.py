"""For schemathesis: requests as our clients make them, and what is known of answers. README.md has the reasons."""

import os
import random
import re
import uuid

import requests
import schemathesis

from mounts import Signer

MOUNT = os.environ["MOUNT"]
SIGNER = Signer(MOUNT)
UUID = re.compile(r'"?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"?')
RANDOM = random.Random(1)
# Why a request that fits its schema is answered 400 or 422 all the same: what no schema can say.
UNSAID = {
    "partner": [
        r'"message":"User must be at least 18 years old"',
        # The country may be stored, and not in the request.
        r'"field":"(?:province|postalCode)","message":"Must be a (?:province or state|postal) code of the country"',
        # Later this year.
        r'"fieldErrors":\[{"field":"dateOfBirth","message":"[^"]*"}\]',
    ],
    "social": [
        # A text in the query that must be JSON.
        r'"error":"Invalid (?:secureMetadata|metadata)"',
        # An IPv6 address that is none.
        r'"error":"Invalid avatar"',
        # Later this year.
        r'"error":"Invalid birthdate"',
    ],
    "user": [
        r'"detail":"Must be the id in the URL"',
        # Later this year, and an IPv6 address that is none.
        r'"source":{"pointer":"/data/attributes/(?:birthDate|pictureUrl)"}',
        # The country may be stored, and not in the request.
        r'"detail":"Must be a province or state code of the country"',
    ],
    "supplier": [
        # Of a create: another status would be 409.
        r'"message":"User already exists with id: .*","code":3',
    ],
    "rest": [
        # A period that ends before it begins.
        r'"pointer":"/suspensions","detail":"Must be at most 100 objects of',
        # Links are made with a user, and changed by their own resource.
        r'"pointer":"/links","detail":"Cannot be changed"',
        # Written back as it was read, it is no change; otherwise suspensions say it.
        r'"pointer":"/status","detail":"Must be one of pendingCompliance, active, closed"',
        # The country may be stored, and not in the request.
        r'"pointer":"/address/region","detail":"Must be a province or state code of the country"',
        # A line that is not its street and house number, or is too long when it is made up of them.
        r'"pointer":"/address/line1","detail":"Contradicts another field about the same thing"',
        r'"pointer":"/address/street","detail":"Must be 1 to 306 characters long"',
        # Later this year, an IPv6 address that is none, half of a place where none is stored.
        r'"pointer":"/(?:birthDate|avatarUrl|geo)"',
        # What is left by a JSON Patch is no user.
        r'"pointer":"","detail":"Must be an object"',
        # What a JSON Patch names is not there now.
        r'"detail":"Is not there, or cannot be changed"',
    ],
}


class Signature(requests.auth.AuthBase):
    """The credentials of the mount's client, over the final request."""

    def __call__(self, request):
        body = request.body or b""
        if not isinstance(body, (bytes, str)):
            body = b"".join(body)
        body = body.encode() if isinstance(body, str) else body
        request.headers.update(SIGNER.headers(request.method, request.path_url, body))
        return request


schemathesis.auth.set_from_requests(Signature())


def fits(case):
    """True where the request is meant to fit its schema."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def exact(value):
    """The same JSON with numbers that are read exactly."""
    if isinstance(value, dict):
        return {name: exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [exact(item) for item in value]
    # An integer of JSON Schema may be 1.0, which is none where a text or an integer is wanted.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_large = isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64
    return 0 if is_large else value


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """What a client would send, where a generated request only looks like it."""
    for name, value in dict(case.headers or {}).items():
        # Refused with a bare answer, before any mount has a say.
        if "_" in name:
            del case.headers[name]
        # The same key twice would mean the same request; and the coverage phase takes no notice of its pattern.
        elif name.lower() == "idempotency-key" and (fits(case) or UUID.fullmatch(str(value))):
            case.headers[name] = str(uuid.UUID(int=RANDOM.getrandbits(128), version=4))
        # The answer has no body then, which a document cannot say beside one that has.
        elif name.lower() == "prefer" and "return=minimal" in str(value).lower():
            del case.headers[name]
    if fits(case) and isinstance(case.body, (dict, list)):
        case.body = exact(case.body)


@schemathesis.check
def explained(_context, response, case):
    """What fits the schema is refused for a reason that no schema can say."""
    if fits(case) and response.status_code in (400, 422):
        assert any(re.search(reason, response.text) for reason in UNSAID.get(MOUNT, [])), "refused for no known reason"
