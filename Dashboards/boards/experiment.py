from grafana import board, campaign, lines, site, table

CHOSEN = """
    $__timeFilter(window_start) and site = ${site:sqlstring} and campaign = ${campaign:sqlstring} and traffic = ''
"""

# Counts of each variant by hour, added up from the beginning of the chosen time on.
SO_FAR = f"""
    select window_start as time, variant,
    sum(sum(impressions)) over before as impressions, sum(sum(clicks)) over before as clicks,
    sum(sum(conversions)) over before as conversions
    from smartcontent.metrics_1h
    where {CHOSEN}
    group by window_start, variant
    window before as (partition by variant order by window_start)
"""

BOARD = board(
    "experiment",
    "Experiment",
    "The variants of a campaign side by side. Rates are added up from the beginning of the chosen time on, so choose"
    " the beginning of the experiment. Decisions are made by the API of experiments, which knows how often one looked.",
    {
        "Variants": [
            table(
                "Variants",
                "Clicks by impressions and conversions by clicks of people.",
                f"""
                select variant, sum(impressions) as impressions, sum(clicks) as clicks,
                sum(clicks)::float8 / nullif(sum(impressions), 0) as ctr, sum(conversions) as conversions,
                sum(conversions)::float8 / nullif(sum(clicks), 0) as conversion
                from smartcontent.metrics_1h
                where {CHOSEN}
                group by variant order by variant
                """,
                24,
                7,
                units={"ctr": "percentunit", "conversion": "percentunit"},
            ),
        ],
        "So far": [
            lines(
                "Clicks by impressions so far",
                "Of each variant since the beginning of the chosen time.",
                f"""
                select time, variant as metric, clicks::float8 / nullif(impressions, 0) as ctr
                from ({SO_FAR}) so_far order by time
                """,
                "percentunit",
                8,
            ),
            lines(
                "Conversions by clicks so far",
                "Of each variant since the beginning of the chosen time.",
                f"""
                select time, variant as metric, conversions::float8 / nullif(clicks, 0) as conversion
                from ({SO_FAR}) so_far order by time
                """,
                "percentunit",
                8,
            ),
            lines(
                "Share of the impressions so far",
                "It should stay at the allocation. Where it drifts, variants are shown or counted differently.",
                f"""
                select time, variant as metric, impressions::float8 / nullif(sum(impressions) over (partition by time), 0) as share
                from ({SO_FAR}) so_far order by time
                """,
                "percentunit",
                8,
            ),
        ],
    },
    variables=[site(), campaign(many=False)],
    since="now-7d",
    refresh="1m",
)
