"""What a rollout says of AnalysisTemplates, and what its status says of the runs that were made from them."""

from typing import Annotated

from pydantic import Field, model_validator

from controller.api.analysis import Argument, DryRun, MeasurementRetention, MetricPhase, TemplateRef
from controller.api.meta import ApiModel, StatusModel


class FromTemplates(ApiModel):
    """Templates that join to one AnalysisRun of the rollout."""

    templates: Annotated[tuple[TemplateRef, ...], Field(max_length=50)] = ()
    """AnalysisTemplates of the namespace, or ClusterAnalysisTemplates, whose metrics join to one run."""
    args: Annotated[tuple[Argument, ...], Field(max_length=100)] = ()
    """Values for the templates' arguments; `valueFrom.fieldRef` is a field of this rollout."""
    dry_run: Annotated[tuple[DryRun, ...], Field(max_length=100)] = ()
    """Metrics of the templates that never decide."""
    measurement_retention: Annotated[tuple[MeasurementRetention, ...], Field(max_length=100)] = ()
    """How much the status of the run keeps."""

    @model_validator(mode="after")
    def _nothing_without_templates(self) -> "FromTemplates":
        rest = {"args": self.args, "dryRun": self.dry_run, "measurementRetention": self.measurement_retention}
        given = [name for name, value in rest.items() if value]
        if given and not self.templates:
            raise ValueError(f"{', '.join(given)} without templates: name the templates that they are for")
        names = [one.name for one in self.args]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"argument {twice!r} is given twice")
        return self


class BackgroundTemplates(FromTemplates):
    """Templates of the run that goes on beside all steps."""

    starting_step: Annotated[int, Field(ge=0, le=100)] | None = None
    """The canary's step, counted from 0, with which the run begins; with the canary's first request when absent."""
    successful_run_history_limit: Annotated[int, Field(ge=0, le=100)] = 5
    """How many runs of earlier attempts that were Successful are kept."""
    unsuccessful_run_history_limit: Annotated[int, Field(ge=0, le=100)] = 5
    """How many runs of earlier attempts that ended otherwise are kept."""

    @model_validator(mode="after")
    def _starts_something(self) -> "BackgroundTemplates":
        if self.starting_step is not None and not self.templates:
            raise ValueError("startingStep without templates: name the templates of the run that begins there")
        return self


class RunStatus(StatusModel):
    """An AnalysisRun of the rollout."""

    name: str
    """The AnalysisRun's name."""
    phase: MetricPhase = "Pending"
    """Where it stands."""
    message: str = ""
    """Why, in its own words."""
