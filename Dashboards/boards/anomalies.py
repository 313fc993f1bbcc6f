from grafana import board, lines, site, table

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

BOARD = board(
    "anomalies",
    "Anomalies",
    "What is out of its usual range, and what moves most.",
    {
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
    },
    variables=[site()],
    since="now-6h",
    refresh="30s",
)
