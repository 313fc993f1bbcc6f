from grafana import better, board, lines, quantiles, stat, table, unit_of, worse

BOARD = board(
    "overview",
    "Overview",
    "Whether all is well, what content does right now, and where to look next.",
    {
        "Now": [
            stat(
                "Events per second",
                "Acknowledged as durable, of all protocols.",
                "sum(rate(smartcontent_ingest_events_total[$__rate_interval]))",
                "eps",
            ),
            stat(
                "Freshness, 99th percentile",
                "From a frame's storing in the log to its effect in queries. The objective is 1 s.",
                quantiles("smartcontent_freshness_seconds")["99th percentile"],
                "s",
                thresholds=worse(0.5, 1),
            ),
            stat(
                "Events not processed yet",
                "Frames that wait, times the mean events of a frame.",
                "sum(smartcontent_lag_events)",
                thresholds=worse(100_000, 1_000_000),
            ),
            stat(
                "Streams without an owner",
                "Their numbers stand still until a processor takes them.",
                "max(smartcontent_streams_unowned)",
                thresholds=worse(1, 1),
            ),
            stat(
                "Rejected per second",
                "Events that went to the dead letters.",
                "sum(rate(smartcontent_ingest_rejected_events_total[$__rate_interval]))",
                "eps",
            ),
            stat(
                "Alerts firing",
                "Of the rules in Dashboards/rules; they are listed below.",
                'count(ALERTS{alertstate="firing", alertname=~"SmartContent.*"}) or vector(0)',
                thresholds=worse(1, 5),
            ),
        ],
        "Objectives": [
            stat(
                "Ingest that worked, 6 h",
                "Requests that were not answered with 503, for want of the log or too much load. The objective is 99.9 %.",
                "1 - smartcontent:ingest_errors:ratio_rate6h",
                "percentunit",
                6,
                better(0.99, 0.999),
                decimals=3,
            ),
            stat(
                "Frames seen within 1 s, 6 h",
                "In the worst pipeline. The objective is 99 %.",
                "1 - max(pipeline:smartcontent_slow_frames:ratio_rate6h)",
                "percentunit",
                6,
                better(0.95, 0.99),
                decimals=2,
            ),
            stat(
                "Budget of ingest used, 3 d",
                "Share of a month's allowed errors that the last three days have used up.",
                "smartcontent:ingest_errors:ratio_rate3d / 0.001 * 3 / 30",
                "percentunit",
                6,
                worse(0.1, 0.5),
                decimals=1,
            ),
            stat(
                "Budget of freshness used, 3 d",
                "Share of a month's allowed slow frames that the last three days have used up, in the worst pipeline.",
                "max(pipeline:smartcontent_slow_frames:ratio_rate3d) / 0.01 * 3 / 30",
                "percentunit",
                6,
                worse(0.1, 0.5),
                decimals=1,
            ),
        ],
        "Content": [
            lines(
                "Clicks by impressions",
                "Of each campaign over all time; the 50 busiest of the site `default`.",
                {"{{campaign}}": "smartcontent_campaign_ctr_ratio"},
                "percentunit",
                8,
            ),
            lines(
                "Impressions",
                "By campaign.",
                {"{{campaign}}": "sum by (campaign) (rate(smartcontent_campaign_impressions_total[$__rate_interval]))"},
                "cps",
                8,
            ),
            lines(
                "Clicks",
                "By campaign.",
                {"{{campaign}}": "sum by (campaign) (rate(smartcontent_campaign_clicks_total[$__rate_interval]))"},
                "cps",
                8,
            ),
            table(
                "Campaigns of the last 24 hours",
                "People only, from the rows of hours. A campaign leads to its board.",
                """
                select campaign, sum(impressions) as impressions, sum(clicks) as clicks,
                sum(clicks)::float8 / nullif(sum(impressions), 0) as ctr, sum(conversions) as conversions,
                count(distinct content) as contents
                from smartcontent.metrics_1h
                where window_start > now() - interval '24 hours' and traffic = '' and campaign <> ''
                group by campaign order by impressions desc limit 50
                """,
                14,
                units={"ctr": "percentunit"},
                links={
                    "campaign": (
                        "Board of this campaign",
                        "/d/smartcontent-campaign?var-campaign=${__value.raw}&${__url_time_range}",
                    )
                },
            ),
            table(
                "Alerts that fire",
                "With what to do in their description: see Prometheus or Alertmanager. Empty is good.",
                'ALERTS{alertstate="firing", alertname=~"SmartContent.*"}',
                10,
                promql=True,
            ),
        ],
        "Traffic": [
            lines(
                "Ingest by outcome",
                "`unavailable` and `refused` are 503: the log was away or full, or too much came.",
                {"{{outcome}}": "sum by (outcome) (rate(smartcontent_ingest_requests_total[$__rate_interval]))"},
                "reqps",
                8,
            ),
            lines(
                "Freshness",
                "From a frame's storing in the log to its effect in queries.",
                quantiles("smartcontent_freshness_seconds"),
                "s",
                8,
                thresholds=worse(1),
            ),
            lines(
                "Queries",
                "Of the query API, and live streams that are open.",
                {
                    "queries per second": "sum(rate(smartcontent_query_requests_total[$__rate_interval]))",
                    "live streams": "sum(smartcontent_query_streams)",
                },
                "reqps",
                8,
                overrides=[unit_of("live streams", "short")],
            ),
        ],
    },
    since="now-30m",
)
