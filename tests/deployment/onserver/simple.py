"""What the operator's tests on a server name again and again."""

SDEP = ("machinelearning.seldon.io/v1", "seldondeployments")
ISTIO = "networking.istio.io/v1"
SIMPLE = {
    ("Service", "iris-default"),
    ("Service", "iris-default-classifier"),
    ("Deployment", "iris-default-0-classifier"),
    ("DestinationRule", "iris-default"),
    ("VirtualService", "iris"),
}
"""Kinds and names of all that is written for a SeldonDeployment of one model."""
