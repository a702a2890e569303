"""What S3 servers and their client say when something fails, in words."""

from __future__ import annotations

import os
from typing import Any

from registry_tool.errors import StorageProblem
from registry_tool.storage.problems import (
    DOES_NOT_EXIST,
    exists_already,
    participle,
    translated,
    unusable,
)

_REFUSED = {
    *("ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed"),
    *("SignatureDoesNotMatch", "TokenRefreshRequired"),
}
_THROTTLED = {
    *("RequestTimeout", "RequestTimeoutException", "SlowDown", "Throttling"),
    *("ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded"),
    *("ConditionalRequestConflict", "OperationAborted", "IncompleteBody", "BadDigest"),
}
_ELSEWHERE = {"301", "307", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraint"}
_NOT_IMPLEMENTED = {"NotImplemented", "501"}
_DENIED_HELP = (
    "let these credentials use it: s3:ListBucket on the bucket, s3:GetObject on its objects, and"
    " s3:PutObject and s3:DeleteObject for artifact add, update and remove; without s3:ListBucket"
    " a missing object is denied, too"
)


def response_of(problem: Exception) -> dict[str, Any]:
    """The server's answer behind an exception, or nothing where there was none."""
    for link in (problem, problem.__cause__):
        answer = getattr(link, "response", None)
        if isinstance(answer, dict) and "Error" in answer:
            return answer
    return {}


def code_of(problem: Exception) -> str:
    """The S3 error code, such as ``NoSuchKey``; of a HEAD it is the HTTP status."""
    return str(response_of(problem).get("Error", {}).get("Code", ""))


def status_of(problem: Exception) -> int:
    """The HTTP status, or 0 where the server did not answer."""
    status = response_of(problem).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = code_of(problem)
    return int(status or (code if code.isdigit() else 0))


def is_unsupported(problem: Exception) -> bool:
    """Whether the server does not know a header that was sent."""
    return code_of(problem) in _NOT_IMPLEMENTED or status_of(problem) == 501


def s3_problem(place: str, problem: Exception, doing: str) -> StorageProblem:
    """Any exception of the S3 client, as one of ours."""
    if response_of(problem):
        return _answered(place, problem, doing)
    return _unanswered(place, problem, doing)


def _answered(place: str, problem: Exception, doing: str) -> StorageProblem:
    code, status = code_of(problem), status_of(problem)
    said = str(response_of(problem).get("Error", {}).get("Message") or code)
    cannot = f"cannot be {participle(doing)}"
    if code == "NoSuchBucket":
        return no_bucket(place)
    if code in _THROTTLED or status in {429, *range(500, 600)} - {501}:
        return unusable(place, f"{cannot}: {said} ({code})", help="try again later", transient=True)
    if code in _ELSEWHERE:
        return unusable(
            place,
            f"{cannot}: the bucket is in another region ({code})",
            help="set AWS_REGION to the region of the bucket",
        )
    if code in _REFUSED:
        return unusable(
            place, f"{cannot}: the credentials were refused ({code}: {said})", help=_which()
        )
    if status == 403:
        return unusable(place, f"{cannot}: access denied", help=_DENIED_HELP)
    if status == 412:
        return exists_already(place)
    if status == 404:
        return unusable(place, DOES_NOT_EXIST, help="check the path, and " + _endpoint())
    return unusable(place, f"{cannot}: {said} ({code})", help=None)


def no_bucket(place: str) -> StorageProblem:
    """The server has no bucket of the name in the URL."""
    bucket = place.partition("://")[2].partition("/")[0]
    return unusable(
        place,
        f"cannot be used: there is no bucket {bucket}",
        help=f"check spec.storage_path, and {_endpoint()}",
    )


def _unanswered(place: str, problem: Exception, doing: str) -> StorageProblem:
    # Here, so that the library is only asked for where it is known to be installed.
    from botocore import exceptions as boto

    cannot = f"cannot be {participle(doing)}: {problem}"
    profile = (boto.ProfileNotFound, boto.ConfigParseError, boto.ConfigNotFound)
    credentials = (
        *(boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError),
        *(boto.NoAuthTokenError, boto.TokenRetrievalError, boto.SSOError),
    )
    if isinstance(problem, profile):
        return unusable(place, cannot, help="check AWS_PROFILE and ~/.aws/config")
    if isinstance(problem, credentials):
        return unusable(place, cannot, help=_which())
    if isinstance(problem, boto.SSLError) and "CERTIFICATE" in str(problem).upper():
        return unusable(place, cannot, help="name the server's authority in AWS_CA_BUNDLE")
    if isinstance(problem, boto.ConnectionError | boto.HTTPClientError):
        return unusable(place, cannot, help="check " + _endpoint(), transient=True)
    if isinstance(problem, boto.BotoCoreError | ValueError):
        return unusable(place, cannot, help=None)
    return translated(place, problem, doing)


def _which() -> str:
    profile = os.environ.get("AWS_PROFILE")
    using = f"the profile {profile} of AWS_PROFILE" if profile else "AWS_PROFILE or ~/.aws"
    return f"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or correct {using}"


def _endpoint() -> str:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if os.environ.get(name):
            return f"{name} ({os.environ[name]})"
    return "AWS_ENDPOINT_URL when the server is not Amazon's"
