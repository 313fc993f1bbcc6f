"""Sends events through the unmodified Snowplow tracker for Python, by POST or GET.

The tracker makes the ids of events itself; those that are printed are its own. Its retries are on and
know no end but `--timeout`; only what is refused for good is given up. What is printed: delivery.py.
"""

import sys
import time

import delivery
from snowplow_tracker import SelfDescribingJson, Subject, Tracker
from snowplow_tracker.emitters import Emitter
from snowplow_tracker.events import PagePing, PageView, SelfDescribing, StructuredEvent


def event(options, index):
    """Sorts take turns: page view, structured click, self-describing impression, page ping."""
    url = f"https://example.org/{index}"
    sort = index % 4
    if sort == 0:
        made = PageView(page_url=url, page_title=str(index))
    elif sort == 1:
        made = StructuredEvent(category="content", action="Content Clicked", label=str(index))
    elif sort == 2:
        schema = "iglu:com.acme/impression/jsonschema/1-0-0"
        made = SelfDescribing(SelfDescribingJson(schema, {"index": index, "note": "é ~?>"}))
    else:
        made = PagePing(page_url=url, page_title=str(index), max_y=index)
    made.context = [
        SelfDescribingJson(
            "iglu:com.acme/content/jsonschema/1-0-0",
            delivery.properties(options, index, "snowplow"),
        )
    ]
    made.event_subject = Subject().set_domain_user_id(delivery.person(options, index))
    return made


class Sender:
    """An emitter of the tracker, and which of its events were delivered."""

    def __init__(self, options):
        self.delivered = set()
        self.emitter = Emitter(
            options.url,
            protocol="https" if options.url.startswith("https:") else "http",
            method=options.method,
            batch_size=options.batch if options.method == "post" else 1,
            on_success=lambda payloads: self.delivered.update(each["eid"] for each in payloads),
            request_timeout=10,
            max_retry_delay_seconds=options.retry_delay,
        )

    def settle(self, deadline):
        """Waits until the tracker has nothing left to send."""
        self.emitter.sync_flush()
        while time.monotonic() < deadline:
            with self.emitter.lock:
                idle = self.emitter.event_store.size() == 0
                idle = idle and not self.emitter.retry_timer.is_active()
            if idle:
                return
            time.sleep(0.01)


def main():
    parser = delivery.arguments(__doc__.split("\n")[0])
    parser.add_argument("--method", choices=["post", "get"], default="post")
    parser.add_argument("--plain", action="store_true", help="JSON as it is instead of base64")
    parser.add_argument("--retry-delay", type=int, default=1, help="at most, in seconds")
    parser.add_argument("--timeout", type=float, default=600, help="for all events, in seconds")
    options = parser.parse_args()
    deadline = time.monotonic() + options.timeout
    ledger = delivery.Ledger()
    # A tracker with two emitters sends each event twice.
    senders = [Sender(options) for _ in range(2 if options.twice else 1)]
    tracker = Tracker(
        "tests",
        [sender.emitter for sender in senders],
        app_id=options.key,
        encode_base64=not options.plain,
    )
    ids = {}

    def settle():
        for sender in senders:
            sender.settle(deadline)

    def send(index):
        if index in ids:
            return True
        ids[index] = tracker.track(event(options, index))
        # By GET the tracker drops an event that failed where a later one of the same flush did not.
        if options.method == "get":
            settle()
        return True

    def flush():
        settle()
        for sender in senders:
            lost = set(ids.values()) - sender.delivered
            if lost:
                ledger.failed(sorted(lost), "the tracker gave it up, or the time was over")
            # What was told once is not told again at the next flush.
            sender.delivered.update(lost)

    return delivery.run(options, ledger, ids.__getitem__, send, flush)


if __name__ == "__main__":
    sys.exit(main())
