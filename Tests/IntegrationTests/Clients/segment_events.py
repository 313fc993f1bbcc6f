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
        on_error=lambda error, batch: ledger.failed([event["messageId"] for event in batch], error),
        gzip=options.gzip,
        upload_size=options.batch,
        upload_interval=0.2,
        # A batch that is told to wait goes back into the queue, which must have room for it.
        max_queue_size=8 * options.step + 1,
        max_retries=options.retries,
    )

    def event_id(index):
        return f"{options.label}-{index}"

    def send(index):
        taken, _ = client.track(
            user_id=delivery.person(options, index),
            event=delivery.name(index),
            message_id=event_id(index),
            properties=delivery.properties(options, index, "segment"),
        )
        return taken

    code = delivery.run(options, ledger, event_id, send, client.flush)
    client.join()
    return code


if __name__ == "__main__":
    sys.exit(main())
