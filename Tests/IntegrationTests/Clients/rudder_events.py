"""Sends events with known ids through the unmodified RudderStack SDK for Python, gzip as by default.

Event i has the messageId `LABEL-i`. The SDK's own retries are on: their waits double each time and are
random, so that the end of a long outage is noticed late. What is printed: delivery.py.
"""

import sys

import delivery
from rudderstack.analytics.client import Client


def main():
    parser = delivery.arguments(__doc__.split("\n")[0])
    parser.add_argument("--plain", action="store_true", help="do not compress the bodies")
    options = parser.parse_args()
    ledger = delivery.Ledger()
    client = Client(
        options.key,
        host=options.url,
        on_error=ledger.refuse,
        gzip=not options.plain,
        upload_size=options.batch,
        upload_interval=0.2,
        max_queue_size=4 * options.step + 1,
        max_retries=options.retries,
    )

    return delivery.track(options, ledger, client, "rudder")


if __name__ == "__main__":
    sys.exit(main())
