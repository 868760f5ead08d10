"""Pictures of the judges' benchmark: how soon and how falsely each judge fires."""

from importlib.util import find_spec
from pathlib import Path


def can_draw() -> bool:
    """Whether matplotlib is there, of the dependency group `bench`."""
    return find_spec("matplotlib") is not None


def draw(results: dict, folder: Path) -> list[Path]:
    """Write the pictures and return their paths. Needs matplotlib, of the dependency group `bench`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    equal = [one for one in results["fixed"] if not one["bad"]]
    worse = [one for one in results["fixed"] if one["bad"] and one["bound"]]
    written = []
    if equal:
        figure, axes = plt.subplots(figsize=(11, 0.45 * len(equal) + 2))
        names = list(equal[0]["judges"])
        for name in names:
            axes.scatter([one["judges"][name]["fired_percent"] for one in equal], range(len(equal)), label=name, s=28)
        axes.axvline(1, color="black", linewidth=0.8, linestyle="--")
        axes.set(title="Equal revisions: rolled back within 30 minutes", xlabel="percent of runs")
        written.append(_finish(figure, axes, equal, folder / "false-rollbacks.png"))
    if worse:
        figure, axes = plt.subplots(figsize=(11, 0.45 * len(worse) + 2))
        for name in list(worse[0]["judges"]):
            points = [
                (one["judges"][name]["median"] / one["bound"], number)
                for number, one in enumerate(worse)
                if name in one["judges"] and one["judges"][name]["fired_percent"] >= 50
            ]
            axes.scatter([ratio for ratio, _ in points], [number for _, number in points], label=name, s=28)
        axes.axvline(1, color="black", linewidth=0.8, linestyle="--")
        axes.set(title="Worse canaries: median time over the bound", xlabel="times the bound", xscale="log")
        written.append(_finish(figure, axes, worse, folder / "detection.png"))
    return written


def _finish(figure, axes, rows: list[dict], path: Path) -> Path:
    from matplotlib import pyplot as plt

    axes.set_yticks(range(len(rows)), [one["scenario"] for one in rows])
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path
