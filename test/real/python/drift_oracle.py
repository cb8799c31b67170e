"""SciPy's distances and river's alarms: JSON {pairs: [{reference, current, bins}], streams: [[...]]} on stdin, JSON on stdout."""

import json
import sys

from river import drift
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance


def alarms(detector, values):
    found = []
    for at, value in enumerate(values):
        detector.update(value)
        if detector.drift_detected:
            found.append(at)
    return found


def main():
    asked = json.load(sys.stdin)
    pairs = [
        {
            "ks": float(ks_2samp(pair["reference"], pair["current"], method="asymp").statistic),
            "wasserstein": float(wasserstein_distance(pair["reference"], pair["current"])),
            "jensenShannon": float(jensenshannon(pair["bins"]["reference"], pair["bins"]["current"], base=2)),
        }
        for pair in asked["pairs"]
    ]
    streams = [
        {"adwin": alarms(drift.ADWIN(), values), "pageHinkley": alarms(drift.PageHinkley(), values)}
        for values in asked["streams"]
    ]
    json.dump({"pairs": pairs, "streams": streams}, sys.stdout)


if __name__ == "__main__":
    main()
