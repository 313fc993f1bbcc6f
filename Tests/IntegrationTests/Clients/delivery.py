"""What programs that send events through an SDK have in common: the events, and what became of them.

They print lines of JSON as the SDK settles the events, and one at the end:

    {"delivered": [id, …]}    the SDK takes them for delivered
    {"failed": [id, …], "error": text}    the SDK has given them up, or did not take them
    {"sent": n, "delivered": n, "failed": n}

The SDKs have no hook for success: what was flushed and was not handed to `on_error` is delivered. The
exit code is 1 where an event failed.
"""

import argparse
import json
import threading


def arguments(description):
    """The options that every such program has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", required=True, help="of the collector")
    parser.add_argument("--key", default="dev", help="write key")
    parser.add_argument("--label", required=True, help="of the run: part of ids, its campaign")
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=100, help="events of a request, at most")
    parser.add_argument("--step", type=int, default=200, help="events between two flushes")
    parser.add_argument("--retries", type=int, default=1000, help="of a request")
    parser.add_argument("--persons", type=int, default=50)
    parser.add_argument("--twice", action="store_true", help="hand each event to the SDK twice")
    return parser


def name(index):
    """Every other event is a click."""
    return "Content Clicked" if index % 2 else "Content Impression"


def person(options, index):
    return f"{options.label}-{index % options.persons}"


def properties(options, index, channel):
    """What the development site's mapping reads."""
    return {
        "campaign_id": options.label,
        "content_id": f"content-{index % 7}",
        "variant_id": "ab"[index % 4 // 2],
        "channel": channel,
    }


class Ledger:
    """Which events an SDK has given up. Called on the SDK's threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._failures = []

    def failed(self, ids, error):
        with self._lock:
            self._failures.append((list(ids), str(error)))

    def refuse(self, error, batch):
        """The hook of the Segment SDK and of those made after it."""
        self.failed([event["messageId"] for event in batch], error)

    def take(self):
        with self._lock:
            failures, self._failures = self._failures, []
        return failures


def track(options, ledger, client, channel):
    """Sends the events through a client of the Segment SDK or of one made after it, with messageId `LABEL-i`.

    - Returns: the exit code.
    """

    def event_id(index):
        return f"{options.label}-{index}"

    def send(index):
        taken, _ = client.track(
            user_id=person(options, index),
            event=name(index),
            message_id=event_id(index),
            properties=properties(options, index, channel),
        )
        return taken

    code = run(options, ledger, event_id, send, client.flush)
    client.join()
    return code


def run(options, ledger, event_id, send, flush):
    """Sends the events in steps and prints what became of each.

    - event_id: the id of the event of an index.
    - send: hands the event of an index to the SDK; returns whether it was taken.
    - flush: waits until the SDK has settled all that it has taken.
    - Returns: the exit code.
    """
    delivered = 0
    failed = 0
    for start in range(0, options.events, options.step):
        indices = range(start, min(start + options.step, options.events))
        for _ in range(2 if options.twice else 1):
            for index in indices:
                if not send(index):
                    ledger.failed([event_id(index)], "the SDK did not take it")
        flush()
        lost = set()
        for ids, error in ledger.take():
            lost.update(ids)
            print(json.dumps({"failed": ids, "error": error}), flush=True)
        kept = [id for id in map(event_id, indices) if id not in lost]
        print(json.dumps({"delivered": kept}), flush=True)
        delivered += len(kept)
        failed += len(lost)
    print(
        json.dumps({"sent": options.events, "delivered": delivered, "failed": failed}), flush=True
    )
    return 1 if failed else 0
