"""What the definitions say beyond the models: rules over several fields in CEL, keys of lists, which defaults stand."""

from controller.api.analysis import ArgumentSource
from controller.api.checks import MetricCheck
from controller.api.deployment import SeldonDeploymentSpec
from controller.api.metric import MetricProvider
from controller.api.routing import Sticky
from controller.api.strategy import Gate, PathMatch, ProgressThreshold, SetScale, Step, Strategy, TextMatch
from controller.api.structural import Extras, Rule, exactly_one


def _unchanged(name: str) -> str:
    """Return a rule's part: a field that may be absent stays as it was."""
    there = f"has(self.{name})"
    return f"{there} == has(oldSelf.{name}) && (!{there} || self.{name} == oldSelf.{name})"


_NO_TIME = "matches('^([0.]+[a-z]+)+$')"
_LIVE = "self.predictors.filter(p, !has(p.shadow) || !p.shadow)"

EXTRAS = Extras(
    rules={
        "SeldonDeploymentSpec": (
            Rule(
                f"{_LIVE}.size() < 2 || {_LIVE}.map(p, has(p.traffic) ? p.traffic : 0).sum() == 100",
                "the traffic of several predictors that are not shadows adds up to 100",
            ),
            Rule(f"{_LIVE}.size() > 0", "at least one predictor is not a shadow"),
        ),
        "SeldonRollout": (
            Rule(
                "self.metadata.name.size() <= 52",
                "a rollout's name has at most 52 characters: its revisions' names add 11",
            ),
        ),
        "RolloutSpec": (
            Rule(
                "!has(self.bake) || !has(self.strategy) || has(self.strategy.canary) "
                "|| (has(self.strategy.shadow) && has(self.strategy.shadow.then))",
                "bake belongs to a canary: blueGreen has postPromotionAnalysis, and a shadow needs `then` for it",
            ),
            Rule(
                "!has(self.group) || !has(self.strategy) || !has(self.strategy.shadow) "
                "|| has(self.strategy.shadow.then)",
                "group: a shadow promotes nothing; give it `then`, or take group out",
            ),
            Rule(
                "!has(self.analysis) || !has(self.analysis.startingStep) || !has(self.strategy) "
                "|| has(self.strategy.canary)",
                "analysis.startingStep counts the steps of a canary: leave it out",
            ),
            Rule(
                "!has(self.adopt) || !self.adopt || !has(self.routing) || !has(self.routing.virtualService)",
                "adopt takes over a VirtualService; take routing.virtualService out until it is done",
            ),
            Rule(
                "!has(self.deletionPolicy) || self.deletionPolicy != 'Leave' "
                "|| !has(self.routing) || !has(self.routing.virtualService)",
                "deletionPolicy Leave gives the rollout's own VirtualService away; take routing.virtualService out",
            ),
        ),
        "Strategy": (exactly_one(Strategy, "a strategy"),),
        "Step": (exactly_one(Step, "a step"),),
        "Gate": (exactly_one(Gate, "a gate"),),
        "Pause": (
            Rule(
                "has(self.maxDuration) == has(self.onTimeout)",
                "maxDuration and onTimeout belong together: give both or neither",
            ),
            Rule("!(has(self.duration) && has(self.maxDuration))", "a pause has duration or maxDuration, not both"),
        ),
        "CanaryStrategy": (
            Rule("!(has(self.steps) && has(self.weights))", "a canary has steps or weights, not both"),
            Rule("!has(self.interval) || has(self.weights)", "interval belongs to weights"),
        ),
        "ProgressThreshold": (exactly_one(ProgressThreshold, "replicaProgressThreshold"),),
        "ShadowStrategy": (
            Rule("!(has(self.duration) && has(self.untilVerdict))", "a shadow has duration or untilVerdict, not both"),
        ),
        "SetScale": (
            exactly_one(SetScale, "setScale"),
            Rule(
                "(!has(self.matchWeight) || self.matchWeight) && (!has(self.auto) || self.auto)",
                "matchWeight and auto are true, or absent",
            ),
        ),
        "TextMatch": (exactly_one(TextMatch, "a match of text"),),
        "PathMatch": (exactly_one(PathMatch, "a path"),),
        "RouteMatch": (
            Rule(
                "(has(self.headers) && self.headers.size() > 0) || (has(self.cookies) && self.cookies.size() > 0) "
                "|| has(self.path) || has(self.method)",
                "a match has at least one of headers, cookies, path, method",
            ),
            Rule(
                "!(has(self.cookies) && self.cookies.size() > 0 && has(self.headers) "
                "&& ['cookie', 'Cookie', 'COOKIE'].exists(name, name in self.headers))",
                "a match has cookies or a header `cookie`, not both",
            ),
        ),
        "MetricCheck": (exactly_one(MetricCheck, "a metric", beside=("action", "required")),),
        "RewardCheck": (
            Rule(
                "(has(self.low) ? double(self.low) : 0.0) < (has(self.high) ? double(self.high) : 1.0)",
                "reward.low must be below reward.high",
            ),
        ),
        "OwnVirtualService": (
            Rule(
                "(has(self.routes) && self.routes.size() > 0) || (has(self.grpcRoutes) && self.grpcRoutes.size() > 0)",
                "a VirtualService of your own needs at least one name in routes or grpcRoutes",
            ),
        ),
        "Sticky": (
            exactly_one(Sticky, "sticky"),
            Rule("!has(self.header) || self.header != 'seldon-revision'", "seldon-revision names the revision"),
        ),
        "Routing": (
            Rule(
                "!has(self.virtualService) || !((has(self.hosts) && self.hosts.size() > 0) || "
                "(has(self.gateways) && self.gateways.size() > 0))",
                "hosts and gateways stand in the VirtualService of your own, not beside it",
            ),
        ),
        "LatencyCheck": (
            Rule("has(self.slowerThan) == has(self.max)", "latency.slowerThan and latency.max belong together"),
        ),
        "Analysis": (
            Rule(
                "!has(self.stepBeta) || double(self.stepBeta) >= (has(self.beta) ? double(self.beta) : 0.05)",
                "a step that only raises the weight never asks for more than the promotion: give stepBeta beta to 1",
            ),
            Rule(
                "!has(self.judge) || self.judge != 'threshold' || (has(self.metrics) && self.metrics.exists(m, "
                "(has(m.errorRate) && has(m.errorRate.max)) || (has(m.latency) && has(m.latency.max))))",
                "the threshold judge needs max in at least one metric",
            ),
            Rule(
                "!has(self.judge) || self.judge != 'mannWhitney' || !has(self.metrics) || !self.metrics.exists(m, "
                "(has(m.errorRate) && has(m.errorRate.max)) || (has(m.latency) && has(m.latency.max)))",
                "the mannWhitney judge compares with stable alone and knows no max: leave it out",
            ),
        ),
        "Metric": (Rule(f"!has(self.interval) || !self.interval.{_NO_TIME}", "interval is longer than 0"),),
        "RangeQuery": (Rule(f"!self.step.{_NO_TIME}", "rangeQuery.step is longer than 0"),),
        "MetricProvider": (exactly_one(MetricProvider, "a provider"),),
        "ArgumentSource": (exactly_one(ArgumentSource, "valueFrom"),),
        "Argument": (
            Rule("!(has(self.value) && has(self.valueFrom))", "an argument has value or valueFrom, not both"),
        ),
        "AnalysisRunSpec": (
            Rule(
                " && ".join(_unchanged(name) for name in ("metrics", "args", "dryRun", "measurementRetention")),
                "a run is frozen: only terminate and ttlStrategy may change; make another run",
            ),
            Rule(
                "!has(oldSelf.terminate) || !oldSelf.terminate || (has(self.terminate) && self.terminate)",
                "a run that was told to end does not go on; make another run",
            ),
        ),
        "AnalysisTemplateSpec": (
            Rule(
                "(has(self.metrics) && self.metrics.size() > 0) || (has(self.templates) && self.templates.size() > 0)",
                "a template has metrics or templates",
            ),
        ),
    },
    list_keys={
        ("SeldonDeploymentSpec", "predictors"): ("name",),
        ("SeldonDeploymentStatus", "conditions"): ("type",),
        ("RolloutStatus", "conditions"): ("type",),
        ("AnalysisRunStatus", "conditions"): ("type",),
        ("AnalysisTemplateSpec", "metrics"): ("name",),
        ("AnalysisTemplateSpec", "args"): ("name",),
        ("AnalysisRunSpec", "metrics"): ("name",),
        ("AnalysisRunSpec", "args"): ("name",),
    },
    defaults=frozenset(
        {
            ("RolloutSpec", "progressDeadline"),
            ("RolloutSpec", "scaleDownDelay"),
            ("RolloutSpec", "revisionHistoryLimit"),
            ("SetMirror", "percentage"),
            ("StickyCookie", "name"),
            ("StickyCookie", "ttl"),
            ("ShadowStrategy", "percentage"),
            ("Webhook", "interval"),
            ("TimeWindow", "timeZone"),
            ("CanaryStrategy", "judgedFromStep"),
            ("PreviewHeader", "name"),
            ("PreviewHeader", "value"),
            ("PrePromotionAnalysis", "skip"),
            ("PrePromotionAnalysis", "percentage"),
            ("PostPromotionAnalysis", "percentage"),
            ("BlueGreenStrategy", "autoPromotionEnabled"),
            ("BlueGreenStrategy", "autoPromotionSeconds"),
            ("Bake", "duration"),
            ("Bake", "holdback"),
            ("Analysis", "judge"),
            ("Analysis", "alpha"),
            ("Analysis", "beta"),
            ("Analysis", "warmup"),
            ("Analysis", "minSamples"),
        }
    ),
    embedded={("Template", "spec"): SeldonDeploymentSpec},
)
"""Defaults stand only where they are scalars of a SeldonRollout. A SeldonDeployment gets none: a rollout's template is
hashed into revisions, and a new default must not make a new revision."""
