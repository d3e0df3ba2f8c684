"""For schemathesis: every request is signed last, over the bytes that go out."""

import os
import random
import re
import uuid

import requests
import schemathesis

from mounts import Signer

SIGNER = Signer(os.environ["MOUNT"])
KEY = re.compile(r'"?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"?')
RANDOM = random.Random(1)


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


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """A key of its own for each request that has one: the same key twice means the same request."""
    for name, value in dict(case.headers or {}).items():
        if name.lower() == "idempotency-key" and KEY.fullmatch(str(value)):
            case.headers[name] = str(uuid.UUID(int=RANDOM.getrandbits(128), version=4))
