"""In the place of the controller of AnalysisRuns: runs that begin, and end as the story wants."""

from collections.abc import Callable
from contextlib import suppress

from controller.api.meta import RUN_LABEL
from controller.kube.resources import ANALYSIS_RUN, ANALYSIS_TEMPLATE
from localcluster.apiserver.history import Event
from simulated.api import NAMESPACE_NAME, Api, ApiError, Object
from simulated.timeline import Timeline

ACTOR = "analysis"
OVER = frozenset({"Successful", "Failed", "Error", "Inconclusive"})
Say = Callable[[str, str], None]


class Measuring:
    """Follows AnalysisRuns.

    Args:
        timeline: the time.
        api: the server.
        end: by run: seconds after which it ends, and in which phase; None for one that goes on.
        say: told of each run that ends.
    """

    def __init__(
        self,
        timeline: Timeline,
        api: Api,
        end: Callable[[Object], tuple[float, str] | None],
        say: Say = lambda _who, _what: None,
    ) -> None:
        self._timeline, self._api, self._end, self.say = timeline, api, end, say
        self.ended: dict[str, tuple[float, str]] = {}
        """By uid: when a run ended, and how."""
        self.away_until = 0.0
        """Until when nobody measures."""
        api.watchers.append(self._happened)

    def _happened(self, actor: str, event: Event) -> None:
        if event.collection != ANALYSIS_RUN.name or event.type == "DELETED":
            return
        run = event.entry.object
        name, uid = run["metadata"]["name"], run["metadata"]["uid"]
        if event.previous is None:
            self.say("measured", f"{run['metadata']['labels'][RUN_LABEL]} begins")
            self._timeline.after(1.0, lambda: self._phase(name, uid, "Running"))
            how = self._end(run)
            if how is not None:
                self._timeline.after(how[0], lambda: self._phase(name, uid, how[1]))
        elif run["spec"].get("terminate") and not event.previous["spec"].get("terminate"):
            self.say("measured", f"{run['metadata']['labels'][RUN_LABEL]} is told to end")
            self._timeline.after(0.5, lambda: self._phase(name, uid, "Successful"))

    def measured(self, role: str, phase: str, message: str = "") -> None:
        """End the run of a role that goes on."""
        for run in self.going():
            if run["metadata"]["labels"][RUN_LABEL] == role:
                self._phase(run["metadata"]["name"], run["metadata"]["uid"], phase, message)

    def _phase(self, name: str, uid: str, phase: str, message: str = "") -> None:
        live = self._api.find(ANALYSIS_RUN, name)
        if live is None or live["metadata"]["uid"] != uid or self.phase(live) in OVER:
            return
        if (left := self.away_until - self._timeline.now) > 0:
            self._timeline.after(left, lambda: self._phase(name, uid, phase, message))
            return
        if phase in OVER:
            self.ended[uid] = self._timeline.now, phase
            self.say("measured", f"{live['metadata']['labels'][RUN_LABEL]} ends: {phase}")
        with suppress(ApiError):
            self._api.put_status(ANALYSIS_RUN, name, {"phase": phase, "message": message}, actor=ACTOR)

    @staticmethod
    def phase(run: Object) -> str:
        """Where a run stands."""
        return str((run.get("status") or {}).get("phase", "Pending"))

    def going(self) -> list[Object]:
        """The runs that go on, and were not told to end."""
        runs = self._api.all(ANALYSIS_RUN)
        return [run for run in runs if self.phase(run) not in OVER and not run["spec"].get("terminate")]

    def template(self, name: str = "rate") -> None:
        """Apply a template with one metric that comes to an end."""
        metric = {"name": "rate", "interval": "30s", "count": 5, "provider": {"prometheus": {"query": "vector(1)"}}}
        made = {"metadata": {"name": name, "namespace": NAMESPACE_NAME}, "spec": {"metrics": [metric]}}
        with suppress(ApiError):
            self._api.create(ANALYSIS_TEMPLATE, made, actor="kubectl")
