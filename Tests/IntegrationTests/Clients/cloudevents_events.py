"""Sends CloudEvents that the unmodified SDK for Python builds, until the collector has each of them.

Events go by turns in the binary mode, in the structured mode, and in batches of structured events,
which the SDK does not build. The SDK has no HTTP client and no retries: a request that is answered with
429 or 503, or whose connection fails, is sent again until the deadline, with the same ids.

Prints one line of JSON for each event when it is acknowledged, {"id": text, "mode": text}, and at the
end {"delivered": n, "repeated": requests}.
"""

import argparse
import datetime
import json
import sys
import time

import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

START = datetime.datetime(2026, 11, 1, 12, tzinfo=datetime.timezone.utc)
SOURCE = "/tests/cloudevents"
BATCH_TYPE = "application/cloudevents-batch+json"


def event(options, index):
    return CloudEvent(
        attributes={
            "id": f"{options.campaign}-{index}",
            "source": SOURCE,
            "type": "org.example.click" if index % 5 == 0 else "org.example.impression",
            "specversion": "1.0",
            "time": START + datetime.timedelta(milliseconds=index),
            "datacontenttype": "application/json",
            "subject": f"c-{index % 7}",
            "userid": f"{options.campaign} user {index % 100} é",
        },
        data={"campaign_id": options.campaign, "variant_id": "ab"[index % 2], "channel": "cms"},
    )


def messages(options):
    """(mode, ids, headers, body) of each request."""
    index = 0
    while index < options.events:
        for mode, build in (("binary", to_binary_event), ("structured", to_structured_event)):
            if index < options.events:
                one = event(options, index)
                message = build(one)
                yield mode, [one.get_id()], message.headers, message.body
                index += 1
        batch = [event(options, i) for i in range(index, min(index + options.batch, options.events))]
        if batch:
            bodies = [to_structured_event(each).body for each in batch]
            body = b"[" + b",".join(bodies) + b"]"
            yield "batch", [each.get_id() for each in batch], {"content-type": BATCH_TYPE}, body
            index += len(batch)


class Sender:
    def __init__(self, options):
        self.options = options
        self.session = requests.Session()
        self.session.auth = (options.key, "")
        self.deadline = time.monotonic() + options.deadline
        self.repeated = 0

    def send(self, headers, body):
        pause = 0.05
        while True:
            try:
                answer = self.session.post(
                    self.options.url + self.options.path, headers=headers, data=body, timeout=10
                )
                if answer.status_code == 200:
                    return answer.json()
                if answer.status_code not in (429, 503):
                    raise SystemExit(f"answered {answer.status_code}: {answer.text}")
                wait = float(answer.headers.get("Retry-After", pause))
            except (requests.ConnectionError, requests.Timeout):
                wait = pause
            if time.monotonic() + wait > self.deadline:
                raise SystemExit(f"not delivered within {self.options.deadline} s")
            self.repeated += 1
            time.sleep(wait)
            pause = min(2 * pause, 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="of the collector")
    parser.add_argument("--path", default="/v1/cloudevents")
    parser.add_argument("--key", default="dev", help="write key")
    parser.add_argument("--campaign", default="cloudevents", help="also what the ids begin with")
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--batch", type=int, default=20, help="events in a batch")
    parser.add_argument("--deadline", type=float, default=120, help="seconds for all of it")
    parser.add_argument("--twice", action="store_true", help="send every request a second time")
    options = parser.parse_args()

    sender = Sender(options)
    delivered = 0
    for mode, ids, headers, body in messages(options):
        answer = sender.send(headers, body)
        if answer.get("rejected"):
            raise SystemExit(f"rejected: {answer['rejected']}")
        if options.twice:
            sender.send(headers, body)
        for each in ids:
            print(json.dumps({"id": each, "mode": mode}), flush=True)
        delivered += len(ids)
    print(json.dumps({"delivered": delivered, "repeated": sender.repeated}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
