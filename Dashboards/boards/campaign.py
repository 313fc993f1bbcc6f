from grafana import bars, board, campaign, lines, site, table

# What the Postgres panels are about. Rows of hours, which are written while they are open.
CHOSEN = """
    $__timeFilter(window_start) and site = ${site:sqlstring} and campaign in (${campaign:sqlstring})
"""
PEOPLE = CHOSEN + " and traffic = ''"
LIVE = 'campaign=~"$campaign"'


def live(name):
    return f"sum by (campaign) (rate(smartcontent_campaign_{name}_total{{{LIVE}}}[$__rate_interval]))"


def share(part, whole):
    return (
        f"sum by (campaign) (increase(smartcontent_campaign_{part}_total{{{LIVE}}}[1h]))"
        f" / sum by (campaign) (increase(smartcontent_campaign_{whole}_total{{{LIVE}}}[1h]))"
    )


def by(dimension):
    return f"""
        select {dimension}, sum(impressions) as impressions, sum(clicks) as clicks,
        sum(clicks)::float8 / nullif(sum(impressions), 0) as ctr,
        sum(engagements)::float8 / nullif(sum(views), 0) as engagement,
        sum(conversions)::float8 / nullif(sum(clicks), 0) as conversion
        from smartcontent.metrics_1h
        where {PEOPLE}
        group by {dimension} order by impressions desc limit 50
    """


RATES = {"ctr": "percentunit", "engagement": "percentunit", "conversion": "percentunit"}

BOARD = board(
    "campaign",
    "Campaign",
    "How campaigns do: now, over time, and by content, variant and channel.",
    {
        "Live, site default": [
            lines(
                "Clicks by impressions",
                "Of the last hour. Live panels name the 50 busiest campaigns of the site `default`.",
                {"{{campaign}}": share("clicks", "impressions")},
                "percentunit",
            ),
            lines("Impressions", "People's, per second.", {"{{campaign}}": live("impressions")}, "cps"),
            lines("Clicks", "People's, per second.", {"{{campaign}}": live("clicks")}, "cps"),
            lines("Views", "People's, per second.", {"{{campaign}}": live("views")}, "cps"),
            lines(
                "Engagements by views",
                "Of the last hour.",
                {"{{campaign}}": share("engagements", "views")},
                "percentunit",
            ),
            lines(
                "Conversions by clicks",
                "Of the last hour.",
                {"{{campaign}}": share("conversions", "clicks")},
                "percentunit",
            ),
            lines(
                "Revenue of the last hour",
                "In units of each currency.",
                {
                    "{{campaign}} {{currency}}": "sum by (campaign, currency)"
                    f" (increase(smartcontent_campaign_revenue_total{{{LIVE}}}[1h]))"
                },
            ),
            lines(
                "Sessions and conversions after clicks",
                "Since the beginning of the log. What is found out later can make them smaller.",
                {
                    "{{campaign}} sessions": f"smartcontent_campaign_sessions{{{LIVE}}}",
                    "{{campaign}} attributed conversions": f"smartcontent_campaign_attributed_conversions{{{LIVE}}}",
                },
            ),
        ],
        "Over time": [
            lines(
                "Impressions and clicks by hour",
                "Of people, all chosen campaigns. The last hour is open.",
                f"""
                select $__timeGroupAlias(window_start, '1h'), sum(impressions) as impressions, sum(clicks) as clicks
                from smartcontent.metrics_1h
                where {PEOPLE}
                group by 1 order by 1
                """,
                width=8,
            ),
            lines(
                "Clicks by impressions, by hour and variant",
                "An hour with few impressions jumps about: see the board of experiments for intervals of what is compared there.",
                f"""
                select $__timeGroupAlias(window_start, '1h'), campaign || ' ' || variant as metric,
                sum(clicks)::float8 / nullif(sum(impressions), 0) as ctr
                from smartcontent.metrics_1h
                where {PEOPLE}
                group by 1, 2 order by 1
                """,
                "percentunit",
                8,
            ),
            lines(
                "Revenue by hour",
                "In units of each currency, of people.",
                f"""
                select $__timeGroupAlias(window_start, '1h'), currency as metric, sum(revenue) as revenue
                from smartcontent.metrics_1h
                where {PEOPLE} and currency <> ''
                group by 1, 2 order by 1
                """,
                width=8,
            ),
            lines(
                "Sessions by hour",
                "They count where their first event belongs: at its time and for its content.",
                f"""
                select $__timeGroupAlias(window_start, '1h'), sum(sessions) as sessions, sum(bounces) as bounces,
                sum(attributed_clicks) as "attributed clicks", sum(attributed_conversions) as "attributed conversions"
                from smartcontent.outcomes_1h
                where {PEOPLE}
                group by 1 order by 1
                """,
                width=8,
            ),
            bars(
                "Clicks by impressions, by hour of the day",
                "UTC, over the chosen time.",
                f"""
                select to_char(window_start at time zone 'UTC', 'HH24:00') as hour,
                sum(clicks)::float8 / nullif(sum(impressions), 0) as ctr
                from smartcontent.metrics_1h
                where {PEOPLE}
                group by 1 order by 1
                """,
                "percentunit",
            ),
            bars(
                "Clicks by impressions, by day of the week",
                "UTC, over the chosen time.",
                f"""
                select to_char(window_start at time zone 'UTC', 'ID Dy') as day,
                sum(clicks)::float8 / nullif(sum(impressions), 0) as ctr
                from smartcontent.metrics_1h
                where {PEOPLE}
                group by 1 order by 1
                """,
                "percentunit",
            ),
        ],
        "By what": [
            table("Contents", "The 50 with the most impressions; rates of people.", by("content"), units=RATES),
            table("Variants", "Rates of people. Which one is better: board of experiments.", by("variant"), units=RATES),
            table("Channels", "Rates of people.", by("channel"), units=RATES),
            table(
                "Sessions by content",
                "That began with it: bounces have one event. Length in seconds.",
                f"""
                select content, sum(sessions) as sessions,
                sum(bounces)::float8 / nullif(sum(sessions), 0) as bounced,
                (sum(session_seconds) / nullif(sum(sessions), 0))::float8 as length,
                sum(attributed_clicks) as "clicks after impressions",
                sum(attributed_conversions) as "conversions after clicks"
                from smartcontent.outcomes_1h
                where {PEOPLE}
                group by content order by sessions desc limit 50
                """,
                units={"bounced": "percentunit", "length": "s"},
            ),
            lines(
                "Impressions of people and bots",
                "Bots count nowhere else on this board.",
                f"""
                select $__timeGroupAlias(window_start, '1h'), case traffic when '' then 'people' else traffic end as metric,
                sum(impressions) as impressions
                from smartcontent.metrics_1h
                where {CHOSEN}
                group by 1, 2 order by 1
                """,
                width=24,
                height=6,
            ),
        ],
    },
    variables=[site(), campaign()],
    since="now-7d",
    refresh="1m",
)
