"""Advice: what may be done about an answer of the API server, in one sentence."""

from controller.kube.connection import CredentialsError
from controller.kube.errors import ApiError, ForbiddenError, NotFoundError, UnauthorizedError, UnavailableError

_NO_KIND = "could not find the requested resource"
"""How a server says that it does not serve a kind at all."""


def advice(error: Exception) -> str:
    """Return what to do; empty where the error says it itself, or nobody knows."""
    match error:
        case CredentialsError() if "is not a file" in str(error):
            return 'without a cluster: seldon-rollouts local up --detach; then eval "$(seldon-rollouts local env)"'
        case UnavailableError(status=0):
            return "is the cluster up, and is it the right one? (--kubeconfig, --context)"
        case UnavailableError():
            return "the API server fails; try again, or look at its log"
        case UnauthorizedError():
            return "the kubeconfig's credentials are not accepted: sign in again, or choose another --context"
        case ForbiddenError() if '"system:anonymous"' in error.message:
            return "the kubeconfig's user has no credentials: sign in, or choose another --context"
        case ForbiddenError():
            return "ask for a role: `install` has the ClusterRoles seldon-rollouts-view and seldon-rollouts-edit"
        case NotFoundError() if _NO_KIND in error.message or error.message.startswith("404 page not found"):
            return "our kinds are not installed: seldon-rollouts install | kubectl apply --server-side -f -"
        case NotFoundError():
            return "`seldon-rollouts list -A` shows those that there are; -n names the namespace"
        case ApiError(status=429):
            return "the API server sheds load; try again later"
        case _:
            return ""
