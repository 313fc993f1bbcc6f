from grafana import board, lines, quantiles, stat, worse


def rate(metric, by):
    return f"sum by ({by}) (rate({metric}[$__rate_interval]))"


BOARD = board(
    "learning",
    "Learning",
    "What is learned from the log while it grows, what is decided and recommended by it, and how well.",
    {
        "Following the log": [
            stat(
                "Behind the log",
                "Age of the newest frame that learners know, while the log holds newer ones.",
                "max(smartcontent_learning_lag_seconds)",
                "s",
                thresholds=worse(1, 10),
            ),
            stat(
                "Learners that cannot go on",
                "Readiness says why; answers stay as they are.",
                "sum(smartcontent_learning_halted)",
                thresholds=worse(1, 1),
            ),
            lines(
                "Events learned from",
                "Those that do not count included.",
                {"events per second": "sum(rate(smartcontent_learning_events_total[$__rate_interval]))"},
                "eps",
            ),
            lines(
                "Time to make it visible",
                "What all learners take after some frames. Answers are this much older than the log, and 50 ms.",
                quantiles("smartcontent_learning_publish_seconds"),
                "s",
                thresholds=worse(1),
            ),
        ],
        "Decisions": [
            lines(
                "Decisions",
                "By why it was this arm. Fallback: there was no model.",
                {"{{plan}} {{reason}}": rate("smartcontent_decisions_total", "plan, reason")},
                "eps",
            ),
            lines(
                "Time to decide",
                "In the server, from the request to its answer.",
                quantiles("smartcontent_decision_seconds"),
                "s",
                thresholds=worse(0.002),
            ),
            lines(
                "Who decides",
                "1 for the policy of a plan that decides: a change of lines is a promotion.",
                {"{{plan}} {{policy}}": "max by (plan, policy) (smartcontent_decision_policy_deciding)"},
            ),
            lines(
                "Decisions that are judged",
                "Of the present policy, with their reward window over.",
                {"{{plan}}": "max by (plan) (smartcontent_decision_policy_scored)"},
            ),
        ],
        "Shadows": [
            lines(
                "What policies would earn",
                "Per decision, estimated from the decisions that were made; served is what was earned.",
                {"{{plan}} {{policy}}": 'max by (plan, policy) (smartcontent_decision_policy_value{bound="estimate"})'},
                width=12,
            ),
            lines(
                "What shadows would earn more",
                "Ends of an interval that may be looked at any time. Whose lower end is above 0 may take over.",
                {"{{plan}} {{policy}} {{bound}}": "max by (plan, policy, bound) (smartcontent_decision_policy_advantage)"},
                width=12,
            ),
        ],
        "Retractions": [
            lines(
                "Taken back",
                "Too late: what was learned of these stays until it is forgotten.",
                {"{{plan}} {{outcome}}": "max by (plan, outcome) (smartcontent_decision_retractions_total)"},
                width=8,
            ),
            lines(
                "Not known to the newest model yet",
                "Those that depend on the order of decisions learn again, which takes effect after ten seconds.",
                {"{{plan}}": "max by (plan) (smartcontent_decision_retractions_pending)"},
                width=8,
            ),
            lines(
                "Time until they have learned again",
                "From the retraction of a settled decision on.",
                quantiles("smartcontent_decision_rerun_seconds"),
                "s",
                width=8,
                thresholds=worse(60),
            ),
        ],
        "Recommendations": [
            lines(
                "Visits that were in the list of ten",
                "Tested before they are learned, beside the ten that are visited most.",
                {
                    "{{site}} lists": "max by (site) (smartcontent_recommendation_hit_ratio)",
                    "{{site}} most visited": "max by (site) (smartcontent_recommendation_popular_hit_ratio)",
                },
                "percentunit",
            ),
            lines(
                "Contents in lists",
                "Share of all that were in a tested list within a day.",
                {"{{site}}": "max by (site) (smartcontent_recommendation_coverage_ratio)"},
                "percentunit",
            ),
            lines(
                "Contents and persons",
                "That lists are made from and for.",
                {
                    "{{site}} contents": "max by (site) (smartcontent_recommendation_contents)",
                    "{{site}} persons": "max by (site) (smartcontent_recommendation_persons)",
                },
            ),
            lines(
                "Time to make a list",
                "From memory.",
                quantiles("smartcontent_recommendation_seconds"),
                "s",
                thresholds=worse(0.005),
            ),
            lines(
                "Searches by vectors",
                "Where was looked. pgvector_away: Postgres gave no answer in time, memory has answered alone.",
                {"{{index}}": rate("smartcontent_vector_searches_total", "index")},
                "ops",
                width=8,
            ),
            lines(
                "Texts of contents",
                "Failed ones are tried again.",
                {"{{outcome}}": rate("smartcontent_vector_texts_total", "outcome")},
                "ops",
                width=8,
            ),
            lines(
                "Vectors that wait",
                "For the embeddings endpoint, or for Postgres.",
                {"vectors": "max(smartcontent_vectors_waiting)"},
                width=8,
            ),
        ],
        "Profiles and segments": [
            lines(
                "Persons in segments",
                "Of those that Streams/segments.yaml declares.",
                {"{{segment}}": "max by (segment) (smartcontent_segment_persons)"},
            ),
            lines(
                "Changes of segments",
                "Persons who entered or left.",
                {"{{segment}} {{change}}": rate("smartcontent_segment_changes_total", "segment, change")},
                "ops",
            ),
            lines(
                "Profiles",
                "Persons that are remembered.",
                {"persons": "max(smartcontent_profiles)"},
            ),
            lines(
                "Persons whose cluster kept its name",
                "At the last refresh.",
                {"share": "min(smartcontent_cluster_kept_ratio)"},
                "percentunit",
            ),
        ],
        "Shared answers": [
            lines(
                "Answers to queries",
                "Computed, awaited with somebody who had asked the same, or kept for a tenth of a second.",
                {"{{from}}": rate("smartcontent_query_answers_total", "from")},
                "ops",
                width=12,
            ),
            lines(
                "Kept answers",
                "At most 64 MiB a pipeline.",
                {"bytes": "sum(smartcontent_query_kept_bytes)"},
                "bytes",
                width=12,
            ),
        ],
    },
)
