"""Sends events with known ids through the unmodified Segment SDK for Python.

Event i has the messageId `LABEL-i`. The SDK's own retries are on. What is printed: delivery.py.
"""

import sys

import delivery
from segment.analytics.client import Client


def main():
    parser = delivery.arguments(__doc__.split("\n")[0])
    parser.add_argument("--gzip", action="store_true", help="compress the bodies")
    options = parser.parse_args()
    ledger = delivery.Ledger()
    client = Client(
        options.key,
        host=options.url,
        on_error=ledger.refuse,
        gzip=options.gzip,
        upload_size=options.batch,
        upload_interval=0.2,
        # A batch that is told to wait goes back into the queue, which must have room for it.
        max_queue_size=8 * options.step + 1,
        max_retries=options.retries,
    )

    return delivery.track(options, ledger, client, "segment")


if __name__ == "__main__":
    sys.exit(main())
