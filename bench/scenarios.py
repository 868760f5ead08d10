"""What the judges are tried on."""

from bench.traces import Scenario

FIXED = (
    Scenario(name="A/A 0.01 %, 100 rps, 5 %", stable_errors=1e-4, canary_errors=1e-4),
    Scenario(name="A/A 0.1 %, 100 rps, 5 %"),
    Scenario(name="A/A 0.1 %, 10 rps, 50 %", rps=10, weight=0.5),
    Scenario(name="A/A 1 %, 100 rps, 5 %", stable_errors=0.01, canary_errors=0.01),
    Scenario(name="A/A 5 %, 1000 rps, 25 %", rps=1000, weight=0.25, stable_errors=0.05, canary_errors=0.05),
    Scenario(name="A/A 1 %, diurnal", stable_errors=0.01, canary_errors=0.01, common="diurnal"),
    Scenario(name="A/A 1 %, common incidents", stable_errors=0.01, canary_errors=0.01, common="incidents"),
    Scenario(name="A/A 1 %, slow start", stable_errors=0.01, canary_errors=0.01, slow_start=True),
    Scenario(name="A/A 1 %, counter resets and missing scrapes", stable_errors=0.01, canary_errors=0.01, faults=True),
    Scenario(name="A/A 1 %, nobody asks for 10 min", stable_errors=0.01, canary_errors=0.01, silence=(600, 1200)),
    Scenario(name="A/A 1 %, noise 2", stable_errors=0.01, canary_errors=0.01, noise=2, weight=0.1),
    Scenario(name="A/A 1 %, noise 4", stable_errors=0.01, canary_errors=0.01, noise=4, weight=0.1),
    Scenario(name="A/A 1 %, noise 10", stable_errors=0.01, canary_errors=0.01, noise=10, weight=0.1),
    Scenario(
        name="A/A 1 %, noise 10, 1000 rps", rps=1000, stable_errors=0.01, canary_errors=0.01, noise=10, weight=0.25
    ),
    Scenario(name="0.1 to 0.5 %, 10 rps, 5 %", rps=10, canary_errors=0.005),
    Scenario(name="0.1 to 0.5 %, 100 rps, 5 %", canary_errors=0.005),
    Scenario(name="0.1 to 0.5 %, 100 rps, 50 %", canary_errors=0.005, weight=0.5),
    Scenario(name="0.1 to 0.5 %, 1000 rps, 50 %", rps=1000, canary_errors=0.005, weight=0.5),
    Scenario(name="1 to 2 %, 100 rps, 5 %", stable_errors=0.01, canary_errors=0.02),
    Scenario(name="1 to 2 %, 1000 rps, 50 %", rps=1000, stable_errors=0.01, canary_errors=0.02, weight=0.5),
    Scenario(name="1 to 1.5 %, 1000 rps, 5 %", rps=1000, stable_errors=0.01, canary_errors=0.015),
    Scenario(name="1 to 2 %, noise 4, 100 rps, 10 %", stable_errors=0.01, canary_errors=0.02, noise=4, weight=0.1),
    Scenario(name="0.1 to 10 %, 100 rps, 5 %", canary_errors=0.10),
    Scenario(name="0.01 to 10 %, 100 rps, 5 %", stable_errors=1e-4, canary_errors=0.10),
    Scenario(name="0.1 to 90 %, 100 rps, 5 %", canary_errors=0.90),
    Scenario(
        name="1 to 2 % after 10 min, 100 rps, 10 %", stable_errors=0.01, canary_errors=0.02, onset=600, weight=0.1
    ),
    Scenario(
        name="1 to 2 % after 20 min, 100 rps, 10 %", stable_errors=0.01, canary_errors=0.02, onset=1200, weight=0.1
    ),
    Scenario(name="1 to 3 %, resets, missing scrapes", stable_errors=0.01, canary_errors=0.03, faults=True, weight=0.1),
    Scenario(name="latency x1.2, 100 rps, 10 %", latency="scale", weight=0.1),
    Scenario(name="latency x1.2, Istio's buckets", latency="scale", weight=0.1, buckets="Istio"),
    Scenario(name="latency tail, 50 log buckets", latency="tail", weight=0.1, buckets="50 log"),
    Scenario(name="latency tail p99 +35 %, 100 rps, 10 %", latency="tail", weight=0.1),
    Scenario(name="latency 2 % in 600 ms, 100 rps, 10 %", latency="bimodal", weight=0.1),
)
PROGRESSIVE = (
    Scenario(name="good 0.1 %, 100 rps"),
    Scenario(name="good 1 %, 100 rps", stable_errors=0.01, canary_errors=0.01),
    Scenario(name="good 1 %, 1000 rps, noise 4", rps=1000, stable_errors=0.01, canary_errors=0.01, noise=4),
    Scenario(name="0.1 to 0.5 %, 10 rps", rps=10, canary_errors=0.005),
    Scenario(name="0.1 to 0.5 %, 100 rps", canary_errors=0.005),
    Scenario(name="0.1 to 0.5 %, 1000 rps", rps=1000, canary_errors=0.005),
    Scenario(name="1 to 2 %, 1000 rps", rps=1000, stable_errors=0.01, canary_errors=0.02),
    Scenario(name="0.1 to 10 %, 100 rps", canary_errors=0.10),
    Scenario(name="2 % from the 25 % step on, 1000 rps", rps=1000, canary_errors=0.02, onset_weight=0.25),
    Scenario(name="latency x1.2, 100 rps", latency="scale"),
)
