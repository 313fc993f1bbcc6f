"""Asks for OpenMetrics at a URL and parses the answer with the reference parser.

Prints one JSON object {family: number of samples}; fails where the answer is not OpenMetrics.
"""

import json
import sys
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def main():
    request = urllib.request.Request(
        sys.argv[1], headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        kind = answer.headers["Content-Type"]
        assert kind.startswith("application/openmetrics-text"), f"the answer is {kind}"
        text = answer.read().decode()
    families = {family.name: len(family.samples) for family in text_string_to_metric_families(text)}
    print(json.dumps(families))


if __name__ == "__main__":
    main()
