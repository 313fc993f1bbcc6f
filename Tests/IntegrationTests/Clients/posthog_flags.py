"""Asks for a flag of many persons through the unmodified PostHog SDK for Python, which reports each by itself.

Prints the variants by person as one line of JSON, once all that the SDK reports is delivered.
"""

import argparse
import json
import sys

from posthog import Posthog


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--flag", required=True)
    parser.add_argument("--persons", type=int, default=10)
    options = parser.parse_args()
    errors = []
    client = Posthog(
        options.key,
        host=options.url,
        on_error=lambda error, batch: errors.append(str(error)),
        flush_at=10,
        flush_interval=0.2,
    )
    variants = {}
    for number in range(options.persons):
        person = f"flag-person-{number}"
        variants[person] = client.get_feature_flag(
            options.flag, person, person_properties={"plan": "pro"}
        )
    client.shutdown()
    if errors:
        print("\n".join(errors), file=sys.stderr)
        return 1
    print(json.dumps(variants))
    return 0


if __name__ == "__main__":
    sys.exit(main())
