from grafana import board, lines, query_variable, site, stat, table, worse

# The newest trend window of five minutes and the one before it, of people.
TRENDS = """
    with newest as (select max(window_end) as at from smartcontent.trends where site = ${site:sqlstring})
    select campaign, content,
    sum(clicks) filter (where window_end = at) as clicks,
    sum(clicks) filter (where window_end = at - interval '5 minutes') as before,
    sum(impressions) filter (where window_end = at) as impressions
    from smartcontent.trends, newest
    where site = ${site:sqlstring} and traffic = '' and window_end in (at, at - interval '5 minutes')
    group by campaign, content
"""

# In the order of their numbers in the table.
KIND = """
    (array['traffic down', 'traffic up', 'rate down', 'rate up', 'conversion down', 'conversion up'])[kind + 1]
"""
SEVERITY = "(array['info', 'warning', 'critical'])[severity + 1]"

INCIDENT = query_variable(
    "incident",
    "Incident",
    "select id::text from smartcontent.incidents where site = ${site:sqlstring} order by begin_at desc limit 200",
)

BOARD = board(
    "anomalies",
    "Anomalies",
    "What is out of its usual range, and what moves most.",
    {
        "Incidents": [
            stat(
                "Open, critical",
                "Incidents that go on, of each group one.",
                'sum(smartcontent_incidents_open{severity="critical"}) or vector(0)',
                thresholds=worse(1, 1),
            ),
            stat(
                "Open, warning",
                "Incidents that go on, of each group one.",
                'sum(smartcontent_incidents_open{severity="warning"}) or vector(0)',
                thresholds=worse(1),
            ),
            stat(
                "Open, info",
                "Incidents that go on, of each group one; nobody is told of them.",
                'sum(smartcontent_incidents_open{severity="info"}) or vector(0)',
            ),
            lines(
                "Open incidents by kind",
                "Of each group one.",
                {"{{site}} {{kind}}": "sum by (site, kind) (smartcontent_incidents_open)"},
                width=12,
                height=4,
            ),
            table(
                "Incidents of the chosen time",
                "What was not as it usually is at that hour; expected is where 95 of 100 lie. The first of a group"
                " stands for all of it. The id shows one below.",
                f"""
                select id::text as id, {SEVERITY} as severity, {KIND} as kind, campaign, content, begin_at, end_at,
                observed, round(expected::numeric, 1)::float8 as expected,
                round(expected_lower::numeric, 1) || ' to ' || round(expected_upper::numeric, 1) as "usual range",
                contributor_dimension || ' ' || contributor_value as "most of it", contributor_share as share,
                case when group_id = id then '' else group_id::text end as "group"
                from smartcontent.incidents
                where $__timeFilter(begin_at) and site = ${{site:sqlstring}}
                order by end_at is not null, begin_at desc limit 200
                """,
                24,
                units={"share": "percentunit"},
                links={
                    "id": ("Show it below", "/d/smartcontent-anomalies?var-incident=${__value.raw}&${__url_time_range}")
                },
            ),
            lines(
                "The chosen incident",
                "Observed beside what is usual, in the bins before and after it began. Choose the time of the incident.",
                """
                select to_timestamp(start / 1e6) as time, seen as observed, usual as expected
                from smartcontent.incidents, unnest(series_start, series_observed, series_expected)
                as bins (start, seen, usual)
                where id::text = ${incident:sqlstring} order by 1
                """,
                width=12,
            ),
            lines(
                "Incidents by day",
                "By severity, at the day of their beginning.",
                f"""
                select $__timeGroupAlias(begin_at, '1d'), {SEVERITY} as metric, count(*) as incidents
                from smartcontent.incidents
                where $__timeFilter(begin_at) and site = ${{site:sqlstring}}
                group by 1, 2 order by 1
                """,
                width=12,
                style="bars",
                stacked=True,
            ),
        ],
        "What moves": [
            table(
                "Rising and falling contents",
                "Clicks of the newest five minutes beside those of the five before.",
                f"""
                select campaign, content, coalesce(clicks, 0) as clicks, coalesce(before, 0) as before,
                coalesce(clicks, 0) - coalesce(before, 0) as change, coalesce(impressions, 0) as impressions
                from ({TRENDS}) moving order by abs(coalesce(clicks, 0) - coalesce(before, 0)) desc limit 25
                """,
            ),
            lines(
                "Clicks of five minutes",
                "Every ten seconds, of the ten busiest campaigns of the chosen time; people only.",
                """
                select window_end as time, campaign as metric, sum(clicks) as clicks
                from smartcontent.trends
                where $__timeFilter(window_end) and site = ${site:sqlstring} and traffic = '' and campaign in (
                select campaign from smartcontent.trends
                where $__timeFilter(window_end) and site = ${site:sqlstring} and traffic = ''
                group by campaign order by sum(clicks) desc limit 10)
                group by 1, 2 order by 1
                """,
                width=12,
                height=9,
            ),
        ],
        "What is expected": [
            lines(
                "Engagements of the last hour and what is expected of this one",
                "Clicks, engagements and conversions of sites; 80 of 100 hours lie between lower and upper.",
                {
                    "{{site}} counted": 'max by (site) (smartcontent_forecast_last_hour_engagements{campaign=""})',
                    "{{site}} {{end}}": 'max by (site, end) (smartcontent_forecast_engagements{campaign=""})',
                },
                width=12,
            ),
            lines(
                "Hours in a row outside of it",
                "Four below is an alert; of sites and campaigns.",
                {
                    "{{site}} {{campaign}} {{side}}":
                        "max by (site, campaign, side) (smartcontent_forecast_hours_outside) > 0",
                },
                width=12,
            ),
            lines(
                "How new values are",
                "Of the mean of five minutes, of what a conversion brings and of seconds in view: 0 as ever, 1 as new as"
                " anything so far.",
                {
                    "{{site}} {{campaign}} {{quantity}} {{currency}}":
                        "max by (site, campaign, quantity, currency) (smartcontent_value_novelty)",
                },
                width=24,
            ),
        ],
    },
    variables=[site(), INCIDENT],
    since="now-6h",
    refresh="30s",
)
