"""A path before all paths, for a proxy that leads a part of its own site here."""

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def below(prefix: str, app: ASGIApp) -> ASGIApp:
    """Return an application below a path, such as `/rollouts`, that a proxy in front of it takes off, or does not.

    An Istio route or an Ingress hands it on unless told to rewrite it; others strip it.
    """
    if not prefix:
        return app

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        path = scope["path"]
        if path == prefix:  # what the page names is relative to a folder
            await RedirectResponse(f"{prefix}/")(scope, receive, send)
            return
        whole = path if path.startswith(f"{prefix}/") else prefix + path
        await app({**scope, "root_path": prefix, "path": whole}, receive, send)

    return served
