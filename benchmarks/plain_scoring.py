"""The GOT-10k toolkit's OTB evaluation, timed; run by scoring.py in an environment that has it.

    python plain_scoring.py FOLDER RUNS

FOLDER: `otb` and `results/OTBscored` as scoring.py writes them. Prints JSON: seconds of each run
(of the processor, and of the clock), and each tracker's success and precision scores and those of
its sequences. The plots and the report's file are left out: the toolkit only reads and evaluates.
"""

import contextlib
import io
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

from got10k.datasets import OTB
from got10k.experiments import ExperimentOTB
from got10k.experiments import otb as module


def main() -> None:
    """Evaluate all trackers of a folder and print what came out."""
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    sequences = sorted(p.name for p in (folder / "otb").iterdir())
    trackers = sorted(p.name for p in (folder / "results" / "OTBscored").iterdir())
    OTB._OTB__version_dict = {"scored": sequences}
    ExperimentOTB.plot_curves = lambda *_: None
    dump, module.json.dump = json.dump, lambda *_, **__: None
    seconds = []
    for _ in range(runs):
        start = time.process_time(), time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):  # its progress
            places = (str(folder / name) for name in ("otb", "results", "reports"))
            root, results, reports = places
            found = ExperimentOTB(root, "scored", results, reports).report(trackers)
        seconds.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    scores = {
        tracker: {
            name: [of["success_score"], of["precision_score"]]
            for name, of in [("", every["overall"]), *every["seq_wise"].items()]
        }
        for tracker, every in found.items()
    }
    dump({"seconds": seconds, "scores": scores, "version": version("got10k")}, sys.stdout)


if __name__ == "__main__":
    main()
