from grafana import board, lines, pipeline, quantiles, stat, unit_of, worse

CHOSEN = 'pipeline=~"$pipeline"'


def rate(metric, by=""):
    labels = f" by ({by})" if by else ""
    return f"sum{labels} (rate({metric}{{{CHOSEN}}}[$__rate_interval]))"


def increase(metric):
    return f"sum(increase({metric}{{{CHOSEN}}}[$__rate_interval]))"


def newest(metric, by="pipeline, stream"):
    return f"max by ({by}) ({metric}{{{CHOSEN}}})"


BOARD = board(
    "engine",
    "Engine",
    "Whether the processors keep up, what they remember, and how their streams move.",
    {
        "Now": [
            stat(
                "Events per second",
                "Read from the log, copies included; each pipeline reads all.",
                rate("smartcontent_processor_events_total"),
                "eps",
            ),
            stat(
                "Freshness, 99th percentile",
                "From a frame's storing in the log to its effect in queries. The objective is 1 s.",
                quantiles("smartcontent_freshness_seconds", CHOSEN)["99th percentile"],
                "s",
                thresholds=worse(0.5, 1),
            ),
            stat(
                "Lag",
                "How far the log's time trails the clock in the slowest stream; 0 where nothing waits.",
                f"max(smartcontent_lag_seconds{{{CHOSEN}}})",
                "s",
                thresholds=worse(5, 30),
            ),
            stat(
                "Partitions running",
                "Live or replaying; each pipeline has one for every stream.",
                f"sum(smartcontent_partition_running{{{CHOSEN}}})",
            ),
            stat(
                "Processors",
                "Processes that share the streams.",
                "max(smartcontent_processors)",
            ),
            stat(
                "Streams without an owner",
                "Their numbers stand still until a processor takes them.",
                "max(smartcontent_streams_unowned)",
                thresholds=worse(1, 1),
            ),
        ],
        "Keeping up": [
            lines(
                "Events by what became of them",
                "On time + late + too late + duplicate + rejected = received.",
                {"{{class}}": rate("smartcontent_events_accounted_total", "class")},
                "eps",
            ),
            lines(
                "Copies of events",
                "Natural: the same event once more, as retries send it. Synthetic: another event with its id, which is not"
                " counted either: some client makes ids that are not unique. Untold: the first one is remembered"
                " from before the process started.",
                {"{{copy}}": rate("smartcontent_event_copies_total", "copy")},
                "eps",
            ),
            lines(
                "Lag in events",
                "Frames that are not processed yet, times the mean events of a frame.",
                {"{{pipeline}} {{stream}}": f"sum by (pipeline, stream) (smartcontent_lag_events{{{CHOSEN}}})"},
            ),
            lines(
                "Lag in seconds",
                "How far the log's time trails the clock where frames wait. Two minutes above the line are an alert.",
                {"{{pipeline}} {{stream}}": newest("smartcontent_lag_seconds")},
                "s",
                thresholds=worse(30),
            ),
            lines(
                "Freshness of the hot copy",
                "From a frame's storing in the log.",
                quantiles("smartcontent_freshness_seconds", CHOSEN),
                "s",
                thresholds=worse(1),
            ),
            lines(
                "Burn rate of the budget of freshness",
                "1 uses the month's allowed slow frames up in a month. Above 14.4 over 1 h and 5 min there is an alert.",
                {
                    "{{pipeline}} 5 min": f"pipeline:smartcontent_slow_frames:ratio_rate5m{{{CHOSEN}}} / 0.01",
                    "{{pipeline}} 1 h": f"pipeline:smartcontent_slow_frames:ratio_rate1h{{{CHOSEN}}} / 0.01",
                    "{{pipeline}} 6 h": f"pipeline:smartcontent_slow_frames:ratio_rate6h{{{CHOSEN}}} / 0.01",
                },
                "none",
                thresholds=worse(1, 14.4),
            ),
            lines(
                "Watermark behind the clock",
                "Windows become final when the watermark has passed them.",
                {"{{pipeline}} {{stream}}": newest("smartcontent_watermark_delay_seconds")},
                "s",
            ),
            lines(
                "Where the loops' time goes",
                "Seconds per second of all loops: busy, idle for lack of frames, held up by stores, or waiting for what is away.",
                {"{{state}}": rate("smartcontent_loop_seconds_total", "state")},
                "none",
                stacked=True,
            ),
        ],
        "Sharing the streams": [
            lines(
                "Who runs what",
                "Running streams by pipeline; processors that share them; streams that a process owns.",
                {
                    "{{pipeline}} running": f"sum by (pipeline) (smartcontent_partition_running{{{CHOSEN}}})",
                    "processors": "max(smartcontent_processors)",
                    "owned by {{instance}}": "max by (instance) (smartcontent_streams_owned)",
                    "owned by nobody": "max(smartcontent_streams_unowned)",
                },
            ),
            lines(
                "Streams that move",
                "Taken, handed over, and lost because a lease ran out.",
                {
                    "taken": increase("smartcontent_stream_takeovers_total"),
                    "handed over": increase("smartcontent_stream_moves_total"),
                    "lost by lease": increase("smartcontent_stream_fenced_total"),
                },
            ),
            lines(
                "Leases",
                "Age of each process's lease, and renewals that failed.",
                {
                    "{{instance}}": "max by (instance) (smartcontent_lease_age_seconds)",
                    "failures": "sum(increase(smartcontent_lease_failures_total[$__rate_interval]))",
                },
                "s",
                overrides=[unit_of("failures", "short")],
            ),
            lines(
                "Waits, halts, frames that cannot be decoded",
                "A halt is for good: the partition stops rather than count wrongly.",
                {
                    "undecodable frames": increase("smartcontent_processor_poison_frames_total"),
                    "halts": increase("smartcontent_processor_halts_total"),
                    "quarter seconds of waiting for a server": increase("smartcontent_processor_waits_total"),
                },
            ),
        ],
        "Second stage": [
            lines(
                "Partials handed on",
                "Frames from the first stage to sessions, attribution and trends.",
                {"{{pipeline}}": rate("smartcontent_partial_frames_total", "pipeline")},
                "cps",
            ),
            lines(
                "Partials that wait, failed or were made again",
                "Where some wait for long, one is lost; it is made again from the events.",
                {
                    "waiting": f"sum(smartcontent_partials_waiting{{{CHOSEN}}})",
                    "failed": increase("smartcontent_partial_failures_total"),
                    "made again": increase("smartcontent_partials_remade_total"),
                },
            ),
            lines(
                "Replay at a start",
                "From opening a stream to being live: mean of the starts of the processes that run.",
                {
                    "{{pipeline}}": f"sum by (pipeline) (smartcontent_replay_seconds_sum{{{CHOSEN}}})"
                    f" / sum by (pipeline) (smartcontent_replay_seconds_count{{{CHOSEN}}})"
                },
                "s",
            ),
            lines(
                "Bytes read from the log",
                "By pipeline.",
                {"{{pipeline}}": rate("smartcontent_processor_read_bytes_total", "pipeline")},
                "Bps",
            ),
        ],
        "State": [
            lines(
                "How full the operators are",
                "What they remember, by the most that they may. At 100 % of ids a partition stops; of persons further"
                " ones are not tracked.",
                {
                    "{{pipeline}} {{operator}}": f"max by (pipeline, operator) (smartcontent_state_keys{{{CHOSEN}}}"
                    f" / (smartcontent_state_keys_max{{{CHOSEN}}} > 0))"
                },
                "percentunit",
                thresholds=worse(0.8),
            ),
            lines(
                "Memory of the state",
                "By operator, about.",
                {"{{operator}}": f"sum by (operator) (smartcontent_state_bytes{{{CHOSEN}}})"},
                "bytes",
                stacked=True,
            ),
            lines(
                "Event ids",
                "Remembered for deduplication, and window rows in state.",
                {
                    "{{pipeline}} ids": f"sum by (pipeline) (smartcontent_dedupe_ids{{{CHOSEN}}})",
                    "{{pipeline}} rows": f"sum by (pipeline) (smartcontent_state_rows{{{CHOSEN}}})",
                },
            ),
            lines(
                "What limits have cost",
                "Since the beginning of the log: touches of persons that were untracked, unions and links that were"
                " refused, events counted for `(other)`.",
                {
                    "{{operator}} {{consequence}}": "sum by (operator, consequence)"
                    f" (smartcontent_operator_limits_total{{{CHOSEN}}})"
                },
            ),
        ],
    },
    variables=[pipeline()],
)
