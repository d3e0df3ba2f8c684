"""For schemathesis: every request is signed last, over the bytes that go out."""

import os

import requests
import schemathesis

from mounts import Signer

SIGNER = Signer(os.environ["MOUNT"])


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
