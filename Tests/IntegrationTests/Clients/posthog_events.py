"""Sends events with known ids through the unmodified PostHog SDK for Python, in v0 or v1.

Event i has the uuid `event_id(label, i)`. The SDK's own retries are on. What is printed: delivery.py.
"""

import sys
import uuid

import delivery
from posthog import Posthog


def event_id(label, index):
    """The same for the same label and index, in every run: uuid5 of the URL `smartcontent/LABEL/i`."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"smartcontent/{label}/{index}"))


def failed_ids(error, batch):
    """The ids that a call of `on_error` is about.

    In v1 the server answers event by event: an error with status 200 names those that it dropped or
    that had to be given up, and the others of the batch are delivered.
    """
    named = [id for id, _ in getattr(error, "drops", [])]
    named += getattr(error, "retry_exhausted", [])
    if named and error.status == 200:
        return named
    return [event["uuid"] for event in batch]


def main():
    parser = delivery.arguments(__doc__.split("\n")[0])
    parser.add_argument("--mode", choices=["v0", "v0-gzip", "v1", "v1-gzip"], default="v0")
    options = parser.parse_args()
    ledger = delivery.Ledger()
    client = Posthog(
        options.key,
        host=options.url,
        on_error=lambda error, batch: ledger.failed(failed_ids(error, batch), error),
        flush_at=options.batch,
        flush_interval=0.2,
        max_queue_size=4 * options.step + 1,
        max_retries=options.retries,
        gzip=options.mode.endswith("gzip"),
        capture_mode=options.mode.split("-")[0],
    )

    def send(index):
        id = client.capture(
            delivery.name(index),
            distinct_id=delivery.person(options, index),
            uuid=event_id(options.label, index),
            properties=delivery.properties(options, index, "posthog"),
        )
        return id is not None

    code = delivery.run(
        options,
        ledger,
        lambda index: event_id(options.label, index),
        send,
        lambda: client.flush(timeout_seconds=None),
    )
    client.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main())
