"""Parses OpenMetrics from standard input with the reference parser.

Prints one JSON object {family: number of samples}; fails where the text is not OpenMetrics.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def main():
    text = sys.stdin.read()
    families = {family.name: len(family.samples) for family in text_string_to_metric_families(text)}
    print(json.dumps(families))


if __name__ == "__main__":
    main()
