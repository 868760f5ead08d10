"""Identity: where a request's token stands, and what must be true of a request that changes something."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import HTTPException, Request, Response

from controller.kube.connection import Secret
from seldon_rollouts.dashboard.access import Access, Person

COOKIE = "seldon-rollouts-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SIGN_IN = "sign in with a Kubernetes bearer token: POST /api/v1/session, or the header Authorization"

Who = Callable[[Request], Awaitable[Person | None]]


class Identity:
    """Finds the token of a request and asks whose it is.

    Args:
        access: asks the API server.
        token_header: where a proxy that signs people in (OpenID Connect) leaves their token; empty for none.
    """

    def __init__(self, access: Access, *, token_header: str = "") -> None:
        self.access = access
        self._header = token_header

    def token(self, request: Request) -> Secret:
        """Return the token that a request carries: as a bearer, from the proxy, or from the cookie."""
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and value.strip():
            return Secret(value.strip())
        handed = request.headers.get(self._header, "") if self._header else ""
        return Secret(handed.removeprefix("Bearer ").strip() or request.cookies.get(COOKIE) or None)

    async def who(self, request: Request) -> Person | None:
        """Return who asks; None for nobody that the API server knows."""
        return await self.access.who(self.token(request))

    async def somebody(self, request: Request) -> Person:
        """Return who asks.

        Raises:
            HTTPException: 401; the API server does not know the token, or there is none.
        """
        person = await self.who(request)
        if person is None:
            raise HTTPException(401, _SIGN_IN, headers={"WWW-Authenticate": "Bearer"})
        return person

    async def remember(self, request: Request, response: Response, token: Secret) -> Person:
        """Keep a token in a cookie that no script reads and no other site sends.

        Raises:
            HTTPException: 401; the API server does not know the token.
        """
        person = await self.access.who(token)
        if person is None or token.value is None:
            raise HTTPException(401, "the API server does not know this token; `kubectl create token` makes one")
        response.set_cookie(
            COOKIE, token.value, httponly=True, samesite="strict", secure=request.url.scheme == "https",
            path=request.scope.get("root_path") or "/",
        )  # fmt: skip
        return person

    @staticmethod
    def forget(request: Request, response: Response) -> None:
        """Take the cookie away."""
        response.delete_cookie(COOKIE, path=request.scope.get("root_path") or "/")


def forged(request: Request) -> str:
    """Say why a request that changes something may come from another site; empty when it does not."""
    if request.method in _SAFE:
        return ""
    if request.method != "DELETE" and request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return "Content-Type must be application/json"
    site = request.headers.get("sec-fetch-site", "")
    if site:
        return "" if site in ("same-origin", "none") else f"sent by another site (Sec-Fetch-Site: {site})"
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return f"sent by another site (Origin: {origin})"
    return ""
