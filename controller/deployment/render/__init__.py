"""Rendering: from a completed SeldonDeployment and the configuration to the objects that should exist. Pure."""

from controller.deployment.render.desired import Desired, PredictorObjects, render

__all__ = ["Desired", "PredictorObjects", "render"]
