from grafana import board, lines, pipeline, quantiles, stat, table, unit_of, worse

CHOSEN = 'pipeline=~"$pipeline"'


def increase(metric):
    return f"sum(increase({metric}{{{CHOSEN}}}[$__rate_interval]))"


BOARD = board(
    "stores",
    "Stores and queries",
    "The log, Postgres, the hot copy in Redis, snapshots; and the queries that read them.",
    {
        "Now": [
            stat(
                "Fullest stream of the log",
                "Share of its limit. A full stream refuses events.",
                "max(max by (stream) (smartcontent_log_stored_bytes) / max by (stream) (smartcontent_log_limit_bytes))",
                "percentunit",
                thresholds=worse(0.5, 0.8),
            ),
            stat(
                "Days until the first one is full",
                "As streams grew in the last six hours; empty while nothing grows.",
                "min(stream:smartcontent_log:days_until_full)",
                "d",
                thresholds=[(None, "red"), (3, "orange"), (14, "green")],
                decimals=1,
            ),
            stat(
                "Commit, 99th percentile",
                "Of one transaction into Postgres.",
                quantiles("smartcontent_commit_duration_seconds", CHOSEN)["99th percentile"],
                "s",
                thresholds=worse(0.25, 1),
            ),
            stat(
                "Hot copy, 99th percentile",
                "Of one update in Redis.",
                quantiles("smartcontent_hot_update_duration_seconds", CHOSEN)["99th percentile"],
                "s",
                thresholds=worse(0.05, 0.25),
            ),
            stat(
                "Oldest snapshot",
                "A start reads the log again from there; 0 where it has everything.",
                f"max(smartcontent_snapshot_age_seconds{{{CHOSEN}}})",
                "s",
                thresholds=worse(60, 600),
            ),
            stat(
                "Stores without room",
                "Postgres, Redis or the disk of snapshots, until they take something again.",
                f"sum(max by (store) (smartcontent_store_full{{{CHOSEN}}}))",
                thresholds=worse(1, 1),
            ),
        ],
        "Log": [
            lines(
                "Streams, share of their limit",
                "A full stream refuses events.",
                {"{{stream}}": "max by (stream) (smartcontent_log_stored_bytes) / max by (stream) (smartcontent_log_limit_bytes)"},
                "percentunit",
                8,
                thresholds=worse(0.8),
            ),
            lines(
                "Bytes in the log",
                "By stream.",
                {"{{stream}}": "max by (stream) (smartcontent_log_stored_bytes)"},
                "bytes",
                8,
            ),
            lines(
                "Days until a stream is full",
                "As it grew in the last six hours. Below three there is an alert.",
                {"{{stream}}": "stream:smartcontent_log:days_until_full < 365"},
                "d",
                8,
                thresholds=[(None, "red"), (3, "green")],
            ),
        ],
        "Read models": [
            lines(
                "Commit into Postgres",
                "One transaction: rows and checkpoint.",
                quantiles("smartcontent_commit_duration_seconds", CHOSEN),
                "s",
            ),
            lines(
                "Rows written",
                "Absolute ones and corrections.",
                {"{{pipeline}}": f"sum by (pipeline) (rate(smartcontent_commit_rows_total{{{CHOSEN}}}[$__rate_interval]))"},
                "wps",
            ),
            lines(
                "Update of the hot copy",
                "Every 40 ms where something has changed.",
                quantiles("smartcontent_hot_update_duration_seconds", CHOSEN),
                "s",
            ),
            lines(
                "Failures",
                "They are tried again: nothing is lost. `full`: the store has no room.",
                {
                    "commits": increase("smartcontent_commit_failures_total"),
                    "hot copy": increase("smartcontent_hot_update_failures_total"),
                    "hot copy rebuilt": increase("smartcontent_hot_rebuilds_total"),
                    "{{store}} is full": f"max by (store) (smartcontent_store_full{{{CHOSEN}}})",
                },
            ),
            table(
                "Versions of the pipelines",
                "Which of them queries and these boards read; a rebuild computes one beside the active one.",
                """
                select name as pipeline, version, created_at, activated_at, state, active
                from smartcontent.pipelines order by name, version desc
                """,
            ),
            table(
                "Checkpoints of the pipeline default",
                "How far each stream is committed.",
                """
                select c.stream, c.sequence, c.commits, c.log_time, c.watermark, c.updated_at,
                a.received, a.on_time, a.late, a.too_late, a.duplicate, a.rejected
                from smartcontent.checkpoints c left join smartcontent.accounting a using (stream)
                order by c.stream
                """,
            ),
        ],
        "Snapshots": [
            lines(
                "Age of the newest snapshot",
                "0 where it has everything processed. Five minutes above the line are an alert.",
                {"{{pipeline}} {{stream}}": f"max by (pipeline, stream) (smartcontent_snapshot_age_seconds{{{CHOSEN}}})"},
                "s",
                thresholds=worse(600),
            ),
            lines(
                "What a restart reads",
                "Bytes and files of snapshots, all streams.",
                {
                    "bytes": f"sum(smartcontent_snapshot_chain_bytes{{{CHOSEN}}})",
                    "files": f"sum(smartcontent_snapshot_chain_files{{{CHOSEN}}})",
                },
                "bytes",
                overrides=[unit_of("files", "short")],
            ),
            lines(
                "Bytes written",
                "To the disk, and copied to where other machines reach them.",
                {
                    "written": f"sum(rate(smartcontent_snapshot_written_bytes_total{{{CHOSEN}}}[$__rate_interval]))",
                    "copied": f"sum(rate(smartcontent_snapshot_copied_bytes_total{{{CHOSEN}}}[$__rate_interval]))",
                },
                "Bps",
            ),
            lines(
                "Pause and size of a snapshot",
                "99th percentile: how long processing stood still for it, and its bytes.",
                {
                    "pause": quantiles("smartcontent_snapshot_pause_seconds", CHOSEN)["99th percentile"],
                    "size": quantiles("smartcontent_snapshot_size_bytes", CHOSEN)["99th percentile"],
                },
                "s",
                overrides=[unit_of("size", "bytes")],
            ),
            lines(
                "Snapshots that failed",
                "Not written, not usable at a start, not copied, or left out because the changes were too many.",
                {
                    "not written": increase("smartcontent_snapshot_failures_total"),
                    "not usable": increase("smartcontent_snapshot_rejections_total"),
                    "not copied": increase("smartcontent_snapshot_copy_failures_total"),
                    "left out": increase("smartcontent_snapshot_left_out_total"),
                    "compactions": increase("smartcontent_snapshot_compactions_total"),
                },
                width=24,
                height=6,
            ),
        ],
        "Queries": [
            lines(
                "Queries by outcome",
                "By route of the query API.",
                {"{{route}} {{outcome}}": "sum by (route, outcome) (rate(smartcontent_query_requests_total[$__rate_interval]))"},
                "reqps",
            ),
            lines(
                "Time to the answer",
                "Waiting for a position included.",
                quantiles("smartcontent_query_duration_seconds"),
                "s",
                thresholds=worse(0.1),
            ),
            lines(
                "Live streams",
                "Server-sent events: streams that are open, and what they are sent.",
                {
                    "open": "sum(smartcontent_query_streams)",
                    "{{event}} per second": "sum by (event) (rate(smartcontent_query_stream_events_total[$__rate_interval]))",
                },
            ),
            lines(
                "Answers without the hot copy",
                "They are right but some seconds old.",
                {
                    "answers": "sum(increase(smartcontent_query_durable_only_total[$__rate_interval]))",
                    "campaign totals not read": "sum(increase(smartcontent_campaign_refresh_failures_total[$__rate_interval]))",
                },
            ),
        ],
    },
    variables=[pipeline()],
)
