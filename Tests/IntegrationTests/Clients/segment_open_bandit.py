"""Sends rows of real impressions and clicks through the unmodified Segment SDK for Python.

Each row of the file becomes one `Content Impression` and, where it was clicked, one
`Content Clicked`. With --decide each row is a decision first, made with the chance that the file has, and its events
bring the token back; they happen now. Prints `progress ROWS` on lines of their own as rows are acknowledged, and at the
end one line of JSON: {"rows": n, "impressions": {item: n}, "clicks": {item: n}, "errors": [text]}.
"""

import argparse
import collections
import csv
import datetime
import gzip
import http.client
import json
import sys
import urllib.parse

from segment.analytics.client import Client

START = datetime.datetime(2019, 11, 24, tzinfo=datetime.timezone.utc)


def decide(connection, key, plan, person, row):
    """The token of a decision that was made elsewhere."""
    connection.request(
        "POST",
        "/v1/decide",
        json.dumps(
            {
                "k": key,
                "decision": plan,
                "person": person,
                "context": {"position": int(row["pos"])},
                "made": {"arm": row["item"], "probability": float(row["p"])},
            }
        ),
        {"Content-Type": "application/json"},
    )
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"a decision was answered with {answer.status}: {body[:500]}")
    return json.loads(body)["token"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="a .csv.gz with the columns t_us, item and click")
    parser.add_argument("--url", required=True, help="of the collector")
    parser.add_argument("--key", default="dev", help="write key")
    parser.add_argument("--campaign", required=True)
    parser.add_argument("--rows", type=int, default=None, help="at most so many")
    parser.add_argument("--step", type=int, default=1000, help="rows between two flushes")
    parser.add_argument("--twice", action="store_true", help="send every batch a second time")
    parser.add_argument("--gzip", action="store_true", help="compress the bodies")
    parser.add_argument("--decide", default=None, help="a plan whose decisions the rows are")
    options = parser.parse_args()
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(options.url).netloc)

    errors = []

    def client():
        return Client(
            options.key,
            host=options.url,
            gzip=options.gzip,
            max_retries=1000,
            max_queue_size=10 * options.step,
            on_error=lambda error, batch: errors.append(f"{error} ({len(batch)} events)"),
        )

    # Two clients with the same messages cut the same batches out of them, as a retry would.
    clients = [client(), client()] if options.twice else [client()]
    impressions = collections.Counter()
    clicks = collections.Counter()
    rows = 0
    with gzip.open(options.file, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if options.rows is not None and rows == options.rows:
                break
            names = ["Content Impression"]
            impressions[row["item"]] += 1
            if row["click"] == "1":
                names.append("Content Clicked")
                clicks[row["item"]] += 1
            token = {}
            time = START + datetime.timedelta(microseconds=int(row["t_us"]))
            if options.decide is not None:
                person = f"{options.campaign}-{rows}"
                token["decision"] = decide(connection, options.key, options.decide, person, row)
                time = None
            for name in names:
                for each in clients:
                    each.track(
                        anonymous_id=f"{options.campaign}-{rows}",
                        event=name,
                        message_id=f"{options.campaign}-{rows}-{name}",
                        timestamp=time,
                        properties={
                            "campaign_id": options.campaign,
                            "content_id": row["item"],
                            "variant_id": row["pos"],
                            "channel": "shop",
                            "propensity": float(row["p"]),
                            **token,
                        },
                    )
            rows += 1
            if rows % options.step == 0:
                for each in clients:
                    each.flush()
                print("progress", rows, flush=True)
    for each in clients:
        each.flush()
        each.join()
    print(
        json.dumps(
            {"rows": rows, "impressions": impressions, "clicks": clicks, "errors": errors}
        ),
        flush=True,
    )
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
