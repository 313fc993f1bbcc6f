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

# The same of persons who were exposed: what follows within the outcome window counts at their first exposure.
EXPOSED = f"""
    select window_start as time, variant, sum(sum(persons)) over before as persons,
    sum(sum(clickers)) over before as clickers, sum(sum(converters)) over before as converters
    from smartcontent.exposures_1h
    where {CHOSEN}
    group by window_start, variant
    window before as (partition by variant order by window_start)
"""

BOARD = board(
    "experiment",
    "Experiment",
    "The variants of a campaign side by side. Rates are added up from the beginning of the chosen time on, so choose"
    " the beginning of the experiment. Decisions and intervals are those of the API of experiments, which hold at any look.",
    {
        "Running experiments": [
            lines(
                "What to do",
                "As the API of experiments says: distrust, stop_for_harm, take_treatment, keep_control, stop_for_futility or"
                " go_on. Of all campaigns.",
                {
                    "{{experiment}}: {{action}}": "max by (experiment, action)"
                    " (smartcontent_experiment_decision)"
                },
                width=8,
            ),
            lines(
                "The metric of each variant",
                "That the experiment is decided by, between the ends that hold however often one looks. Persons count once"
                " their outcome window is over.",
                {
                    "{{experiment}} {{variant}} {{end}}": "max by (experiment, variant, end)"
                    " (smartcontent_experiment_value)"
                },
                width=8,
            ),
            lines(
                "Lift against the control",
                "Between the ends that hold however often one looks: where 0 lies between them nothing is decided.",
                {
                    "{{experiment}} {{variant}} {{end}}": "max by (experiment, variant, end)"
                    " (smartcontent_experiment_lift_ratio)"
                },
                "percentunit",
                8,
            ),
        ],
        "Exposed persons": [
            table(
                "Persons by variant",
                "Exposed by the first touch of the campaign that showed a variant; they clicked or converted within the"
                " outcome window. Mixed: shown another variant, too. Revenue per person, where there is one currency."
                " Prior: clicks and conversions per person before the exposure; it should be alike.",
                f"""
                select variant, persons, mixed::float8 / nullif(persons, 0) as mixed,
                prior::float8 / nullif(persons, 0) as prior, (revenue / nullif(persons, 0))::float8 as revenue,
                clickers::float8 / nullif(persons, 0) as clicked, converters::float8 / nullif(persons, 0) as converted
                from (select variant, sum(persons) as persons, sum(clickers) as clickers, sum(converters) as converters,
                sum(mixed) as mixed, sum(revenue) as revenue from smartcontent.exposures_1h
                where {CHOSEN} group by variant) exposed
                left join (select variant, sum(prior) as prior from smartcontent.baselines_1h
                where {CHOSEN} group by variant) before using (variant)
                where persons > 0 order by variant
                """,
                24,
                7,
                units={"clicked": "percentunit", "converted": "percentunit", "mixed": "percentunit"},
            ),
            lines(
                "Persons who clicked so far",
                "Share of those exposed since the beginning of the chosen time. The last outcome window is still open.",
                f"""
                select time, variant as metric, clickers::float8 / nullif(persons, 0) as clicked
                from ({EXPOSED}) so_far order by time
                """,
                "percentunit",
                8,
            ),
            lines(
                "Persons who converted so far",
                "Share of those exposed since the beginning of the chosen time. The last outcome window is still open.",
                f"""
                select time, variant as metric, converters::float8 / nullif(persons, 0) as converted
                from ({EXPOSED}) so_far order by time
                """,
                "percentunit",
                8,
            ),
            lines(
                "Share of the persons so far",
                "It should stay at the allocation: if not, the sample ratio is wrong and the rates cannot be compared.",
                f"""
                select time, variant as metric, persons::float8 / nullif(sum(persons) over (partition by time), 0) as share
                from ({EXPOSED}) so_far order by time
                """,
                "percentunit",
                8,
            ),
        ],
        "Events by variant": [
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
        "Events so far": [
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
