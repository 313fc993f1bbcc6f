from grafana import better, board, lines, quantiles, stat, unit_of, worse

BOARD = board(
    "ingest",
    "Ingest",
    "What comes in, what becomes of it, and who sends it.",
    {
        "Now": [
            stat(
                "Requests per second",
                "Of all protocols and outcomes.",
                "sum(rate(smartcontent_ingest_requests_total[$__rate_interval]))",
                "reqps",
            ),
            stat(
                "Events per second",
                "Acknowledged as durable.",
                "sum(rate(smartcontent_ingest_events_total[$__rate_interval]))",
                "eps",
            ),
            stat(
                "Requests that worked, 1 h",
                "Not answered with 503. The objective is 99.9 %.",
                "1 - smartcontent:ingest_errors:ratio_rate1h",
                "percentunit",
                4,
                better(0.99, 0.999),
                decimals=3,
            ),
            stat(
                "Burn rate, 1 h",
                "1 uses the month's budget of errors up in a month; at 14.4 somebody is woken up.",
                "smartcontent:ingest_errors:ratio_rate1h / 0.001",
                "none",
                4,
                worse(1, 14.4),
                decimals=2,
            ),
            stat(
                "Publish, 99th percentile",
                "From publishing a frame to the log's acknowledgement, one fsync included.",
                quantiles("smartcontent_ingest_publish_seconds")["99th percentile"],
                "s",
                thresholds=worse(0.25, 1),
            ),
            stat(
                "Write keys",
                "Accepted by the collectors.",
                "max(smartcontent_ingest_keys)",
            ),
        ],
        "Requests and events": [
            lines(
                "Requests by outcome",
                "`unavailable` is a 503: the log was away or full; `refused`: too many events wait. `limited` is a 429.",
                {"{{outcome}}": "sum by (outcome) (rate(smartcontent_ingest_requests_total[$__rate_interval]))"},
                "reqps",
            ),
            lines(
                "Burn rate of the budget of errors",
                "Over four windows. Above the upper line over 1 h and 5 min, or above 6 over 6 h and 30 min, somebody is woken up.",
                {
                    "5 min": "smartcontent:ingest_errors:ratio_rate5m / 0.001",
                    "30 min": "smartcontent:ingest_errors:ratio_rate30m / 0.001",
                    "1 h": "smartcontent:ingest_errors:ratio_rate1h / 0.001",
                    "6 h": "smartcontent:ingest_errors:ratio_rate6h / 0.001",
                },
                "none",
                thresholds=worse(1, 14.4),
            ),
            lines(
                "Events by protocol",
                "Acknowledged as durable.",
                {"{{protocol}}": "sum by (protocol) (rate(smartcontent_ingest_events_total[$__rate_interval]))"},
                "eps",
            ),
            lines(
                "Rejected events by reason",
                "They are in the stream dead-letters: smartcontent dead-letters list.",
                {"{{reason}}": "sum by (reason) (rate(smartcontent_ingest_rejected_events_total[$__rate_interval]))"},
                "eps",
            ),
            lines(
                "People and bots",
                "What was said of the senders; an event may have several reasons for a bot.",
                {"{{verdict}}": "sum by (verdict) (rate(smartcontent_ingest_verdicts_total[$__rate_interval])) > 0"},
                "eps",
            ),
            lines(
                "Events not stored on purpose",
                "Such as those of people who ask not to be tracked, where a key honours that.",
                {"{{reason}}": "sum by (reason) (rate(smartcontent_ingest_dropped_events_total[$__rate_interval]))"},
                "eps",
            ),
            lines(
                "Answers by status",
                "All routes of all roles.",
                {"{{status}}": "sum by (status) (rate(smartcontent_http_requests_total[$__rate_interval]))"},
                "reqps",
            ),
            lines(
                "Time to the answer by route, 99th percentile",
                "From a request's header; ingest waits for the log's acknowledgement.",
                {
                    "{{route}}": quantiles("smartcontent_http_duration_seconds", by="route")[
                        "{{route}} 99th percentile"
                    ]
                },
                "s",
            ),
        ],
        "Into the log": [
            lines(
                "Publish to acknowledgement",
                "One fsync of the log's disk is in it.",
                quantiles("smartcontent_ingest_publish_seconds"),
                "s",
                thresholds=worse(1),
            ),
            lines(
                "Frames by outcome",
                "`full`: the stream is at its limit. `duplicate`: the log had the frame already, after a retry.",
                {"{{outcome}}": "sum by (outcome) (rate(smartcontent_ingest_frames_total[$__rate_interval]))"},
                "cps",
            ),
            lines(
                "Events and bytes of a frame",
                "Group commit: under load frames grow, so that the rate of fsyncs does not.",
                {
                    "events": "sum(rate(smartcontent_ingest_frame_events_sum[$__rate_interval]))"
                    " / sum(rate(smartcontent_ingest_frame_events_count[$__rate_interval]))",
                    "bytes": "sum(rate(smartcontent_ingest_frame_bytes_sum[$__rate_interval]))"
                    " / sum(rate(smartcontent_ingest_frame_bytes_count[$__rate_interval]))",
                },
                overrides=[unit_of("bytes", "bytes")],
            ),
            lines(
                "Waiting and in flight",
                "Events that wait for a frame, and frames that wait for the log.",
                {
                    "frames in flight": "sum(smartcontent_ingest_frames_in_flight)",
                    "bytes that wait for a frame": "sum(smartcontent_ingest_waiting_bytes)",
                },
                overrides=[unit_of("bytes.*", "bytes")],
            ),
            lines(
                "Spools: how full",
                "Frames that the log did not take: acknowledged, and on the collectors' disks until it does.",
                {"{{instance}}": "max by (instance) (smartcontent_ingest_spool_bytes / smartcontent_ingest_spool_limit_bytes)"},
                "percentunit",
                thresholds=worse(0.5),
            ),
            lines(
                "Spools: age of the oldest frame",
                "0 where it is empty.",
                {"{{instance}}": "max by (instance) (smartcontent_ingest_spool_oldest_seconds)"},
                "s",
                thresholds=worse(60),
            ),
            lines(
                "Spools: frames",
                "Waiting, by what became of them, and those that a disk has lost.",
                {
                    "waiting": "sum(smartcontent_ingest_spool_waiting_frames)",
                    "damaged": "sum(smartcontent_ingest_spool_damaged_frames)",
                    "{{outcome}} per second": "sum by (outcome) (rate(smartcontent_ingest_spool_frames_total[$__rate_interval]))",
                },
            ),
            lines(
                "Spools: bytes cut off at a start",
                "Of files that a crash has torn; none of them was acknowledged.",
                {"{{instance}}": "max by (instance) (smartcontent_ingest_spool_torn_bytes)"},
                "bytes",
            ),
        ],
        "Write keys": [
            lines(
                "Events by key",
                "By id of the write key, as smartcontent keys list shows it; `other` is all beyond the first 50.",
                {"{{key}}": "sum by (key) (rate(smartcontent_ingest_key_events_total[$__rate_interval]))"},
                "eps",
            ),
            lines(
                "Rejected share by key",
                "Of the events by a key, those that went to the dead letters.",
                {
                    "{{key}}": "sum by (key) (rate(smartcontent_ingest_rejected_events_total[$__rate_interval]))"
                    " / (sum by (key) (rate(smartcontent_ingest_rejected_events_total[$__rate_interval]))"
                    " + sum by (key) (rate(smartcontent_ingest_key_events_total[$__rate_interval])))"
                },
                "percentunit",
                thresholds=worse(0.2),
            ),
            lines(
                "Rejected events by key and reason",
                "They are in the stream dead-letters.",
                {"{{key}} {{reason}}": "sum by (key, reason) (rate(smartcontent_ingest_rejected_events_total[$__rate_interval]))"},
                "eps",
            ),
            lines(
                "Rejected requests by key and reason",
                "Nothing of them was stored: unknown keys, pages that are not listed, keys beyond their rate, bodies that cannot be read.",
                {"{{key}} {{reason}}": "sum by (key, reason) (rate(smartcontent_ingest_rejected_requests_total[$__rate_interval]))"},
                "reqps",
            ),
        ],
        "Personal data": [
            lines(
                "Keys of persons",
                "Made or found for requests; what is in memory needs no look at the log.",
                {
                    "{{outcome}} per second": "sum by (outcome) (rate(smartcontent_person_keys_total[$__rate_interval]))",
                    "in memory": "sum(smartcontent_person_keys_cached)",
                },
                overrides=[unit_of("in memory", "short")],
            ),
            lines(
                "Waiting for keys of persons",
                "Of requests with a person whose key is not in memory.",
                {
                    "99th percentile": "histogram_quantile(0.99, sum by (le) (increase(smartcontent_person_key_wait_seconds_bucket[1h])))"
                },
                "s",
            ),
            lines(
                "Personal values",
                "Encrypted with a person's key, or removed because there was none.",
                {"{{outcome}}": "sum by (outcome) (rate(smartcontent_personal_values_total[$__rate_interval]))"},
                "cps",
            ),
            lines(
                "Erasures and failures",
                "Keys that were erased, and persons who could have none, by reason.",
                {
                    "erased": "sum(increase(smartcontent_person_keys_erased_total[1h]))",
                    "{{reason}}": "sum by (reason) (increase(smartcontent_person_key_failures_total[1h]))",
                },
            ),
        ],
    },
)
