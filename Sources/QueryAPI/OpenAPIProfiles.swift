/// The part of the OpenAPI description that is about profiles, segments and timing.
enum OpenAPIProfiles {
  private static let security = #""security":[{"token":[]},{}]"#

  private static let errors = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  private static let unknown = """
    "404":{"$ref":"#/components/responses/Problem"}
    """

  private static func answer(_ schema: String, _ text: String) -> String {
    """
    "200":{"description":"\(text)","content":{"application/json":{"schema":{"$ref":"#/components/schemas/\(schema)"}}}}
    """
  }

  private static let site = """
    {"name":"site_id","in":"query","description":"Site","schema":{"type":"string","default":"default"}}
    """

  static let paths = """
    "/v1/profiles/{person}":{"get":{"tags":["profiles"],"operationId":"profile","summary":"What is known of a person: recency, frequency, value, preferences, segments; from memory",\(security),"parameters":[{"name":"person","in":"path","required":true,"description":"The id that the person's events carry","schema":{"type":"string"}},\(site)],"responses":{\(answer("Profile", "It, decayed until the log's time")),\(unknown),\(errors)}}},
    "/v1/segments":{"get":{"tags":["profiles"],"operationId":"listSegments","summary":"Segments of segments.yaml and clusters, with the number of their persons",\(security),"responses":{\(answer("Segments", "All")),\(errors)}}},
    "/v1/segments/{id}":{"get":{"tags":["profiles"],"operationId":"segment","summary":"One segment with who entered and left of late, or a cluster with its center",\(security),"parameters":[{"name":"id","in":"path","required":true,"description":"Id of the segment or of the cluster","schema":{"type":"string"}}],"responses":{\(answer("Segment", "It")),\(unknown),\(errors)}}},
    "/v1/segments/{id}/why":{"get":{"tags":["profiles"],"operationId":"segmentWhy","summary":"Why a person is in a segment or cluster, or is not: its conditions, the others, and where in the log the person's latest events are",\(security),"parameters":[{"name":"id","in":"path","required":true,"description":"Id of the segment or of the cluster","schema":{"type":"string"}},{"name":"person","in":"query","required":true,"description":"The id that the person's events carry","schema":{"type":"string"}},\(site)],"responses":{\(answer("SegmentReason", "It")),\(unknown),\(errors)}}},
    "/v1/timing/why":{"get":{"tags":["profiles"],"operationId":"timingWhy","summary":"What speaks for an hour: by what its rate is made up, the alternatives and their odds, and the posts behind it","security":[{"token":[]},{}],"parameters":[{"name":"hour","in":"query","required":true,"description":"Of the week in UTC, such as 1-08 for Monday 8 o'clock","schema":{"type":"string"}},{"name":"site_id","in":"query","schema":{"type":"string","default":"default"}},{"name":"channel","in":"query","schema":{"type":"string"}},{"name":"audience","in":"query","schema":{"type":"string"}},{"name":"from","in":"query","description":"The first of the allowed hours","schema":{"type":"string"}},{"name":"hours","in":"query","description":"How many are allowed","schema":{"type":"integer","minimum":1,"maximum":168}}],"responses":{"200":{"description":"It","content":{"application/json":{"schema":{"type":"object","required":["channel","audience","hour_of_week","gain","engagements","propensity","contributions","alternatives","posts","reasons"],"properties":{"contributions":{"type":"array","description":"Their product is the rate of the hour","items":{"type":"object","required":["feature","factor"],"properties":{"feature":{"type":"string"},"factor":{"type":"number"}}}},"alternatives":{"type":"array","items":{"type":"object","required":["hour_of_week","gain","odds"],"properties":{"hour_of_week":{"type":"string"},"gain":{"type":"number"},"odds":{"type":"number","description":"As often to be drawn as the hour that is asked about"}}}},"posts":{"type":"array","description":"The latest, at most a hundred","items":{"type":"object","required":["content","posted_at","engagements","position"],"properties":{"content":{"type":"string"},"posted_at":{"type":"string","format":"date-time"},"engagements":{"type":"integer"},"position":{"type":"string"}}}},"reasons":{"type":"array","items":{"type":"string"}}}}}}},"400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"404":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}}}},
    "/v1/models":{"get":{"tags":["profiles"],"operationId":"models","summary":"A card for each model: what was learned from what, when, and how it did","security":[{"token":[]},{}],"responses":{"200":{"description":"They","content":{"application/json":{"schema":{"type":"object","required":["models"],"properties":{"models":{"type":"array","items":{"type":"object","required":["model","name","site","learned_from","did","memory_seconds","as_of","position","complete","sentences"],"properties":{"model":{"enum":["decision","recommendations","profiles","timing","forecasts"]},"name":{"type":"string"},"site":{"type":["string","null"]},"learned_from":{"type":"object","additionalProperties":{"type":"number"}},"did":{"type":"object","additionalProperties":{"type":"number"}},"memory_seconds":{"type":["number","null"]},"as_of":{"type":["string","null"],"format":"date-time"},"position":{"type":["string","null"]},"complete":{"type":"boolean"},"sentences":{"type":"array","items":{"type":"string"}}}}}}}}}},"400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"}}}},
    "/v1/forecasts":{"get":{"tags":["profiles"],"operationId":"forecasts","summary":"What clicks, engagements and conversions are expected of the hours to come, a day of a site and the next hour of each campaign, and how the last ones stood to it",\(security),"parameters":[\(site),
    {"name":"campaign","in":"query","description":"One of them; empty for the whole site","schema":{"type":"string"}}],"responses":{\(answer("Forecasts", "By the hours of the last 30 days")),\(unknown),\(errors)}}},
    "/v1/novelties":{"get":{"tags":["profiles"],"operationId":"novelties","summary":"What a conversion brings and how many seconds people look, by five minutes, and whether that is like before",\(security),"parameters":[\(site),
    {"name":"campaign","in":"query","description":"One of them; empty for the whole site","schema":{"type":"string"}}],"responses":{\(answer("Novelties", "By the last 30 days")),\(unknown),\(errors)}}},
    "/v1/timing":{"get":{"tags":["profiles"],"operationId":"timing","summary":"When to post: the best hours with their gain over any allowed hour, and with what chance to draw each",\(security),"parameters":[\(site),
    {"name":"channel","in":"query","description":"Needed where there are several","schema":{"type":"string"}},
    {"name":"audience","in":"query","description":"Needed where there are several","schema":{"type":"string"}},
    {"name":"from","in":"query","description":"First allowed hour of the week, UTC, such as 1-08 for Monday 8 o'clock","schema":{"type":"string","pattern":"^[1-7]-[0-2][0-9]$","default":"1-00"}},
    {"name":"hours","in":"query","description":"How many hours are allowed","schema":{"type":"integer","minimum":1,"maximum":168,"default":168}},
    {"name":"limit","in":"query","description":"How many of the best are listed","schema":{"type":"integer","minimum":1,"maximum":168,"default":10}}],"responses":{\(answer("Timing", "By posts whose times were drawn alone")),\(unknown),\(errors)}}}
    """

  private static let progress = """
    "as_of":{"type":"string","format":"date-time","description":"The log's time"},"position":{"type":"string"},"complete":{"type":"boolean","description":"Whether all of the log was read"}
    """

  private static let shares = """
    {"type":"array","items":{"type":"object","required":["value","share"],"properties":{"value":{"type":"string"},"share":{"type":"number"}}}}
    """

  private static let interval =
    #"{"type":"array","items":{"type":"number"},"minItems":2,"maxItems":2}"#

  private static let segment = """
    "id":{"type":"string"},"kind":{"enum":["rule","cluster"]},"description":{"type":"string"},"persons":{"type":"integer"},"share":{"type":"number"},
    "traits":{"type":"array","description":"Of a cluster: what sets it apart, in standard deviations from the rest","items":{"type":"object","properties":{"feature":{"type":"string"},"difference":{"type":"number"},"mean":{"type":"number"},"mean_of_rest":{"type":"number"}}}}
    """

  static let schemas = """
    "Profile":{"type":"object","required":["person","first_seen","last_seen","recency_days","age_days","frequency","impressions","clicks","conversions","value","click_share","currency","preferences","segments","cluster","as_of","position","complete"],"properties":{
    "person":{"type":"string"},"first_seen":{"type":"string","format":"date-time"},"last_seen":{"type":"string","format":"date-time"},"recency_days":{"type":"number"},"age_days":{"type":"number"},
    "frequency":{"type":"number"},"impressions":{"type":"number"},"clicks":{"type":"number"},"conversions":{"type":"number"},"value":{"type":"number"},"click_share":{"type":"number"},"currency":{"type":"string"},
    "preferences":{"type":"object","additionalProperties":\(shares)},"segments":{"type":"array","items":{"type":"string"}},"cluster":{"type":["string","null"]},\(progress)}},
    "SegmentReason":{"type":"object","required":["segment","kind","person","in","alternatives","events","reasons","as_of","position","complete"],"properties":{"segment":{"type":"string"},"kind":{"enum":["rule","cluster"]},"person":{"type":"string"},"in":{"type":"boolean"},"rule":{"type":"string"},
    "conditions":{"type":"array","description":"Of a rule","items":{"type":"object","required":["condition","value","holds"],"properties":{"condition":{"type":"string"},"value":{"type":["number","string","null"],"description":"What it is for the person; null where nothing that rules ask for was said"},"holds":{"type":"boolean"}}}},"changes_at":{"type":["string","null"],"format":"date-time","description":"Of a rule: when that may change if nothing comes"},
    "distance":{"type":"number","description":"From the cluster's center, in standard deviations"},"contributions":{"type":"array","description":"Of a cluster: what is farthest from its center first","items":{"type":"object","required":["feature","value","center","deviation"],"properties":{"feature":{"type":"string"},"value":{"type":"number"},"center":{"type":"number"},"deviation":{"type":"number"}}}},
    "alternatives":{"type":"array","items":{"type":"object","required":["segment","in"],"properties":{"segment":{"type":"string"},"in":{"type":"boolean"},"missing":{"type":"array","description":"Conditions that do not hold","items":{"type":"string"}},"distance":{"type":"number"},"odds":{"type":"number","description":"Beside the cluster that is asked about"}}}},
    "events":{"type":"array","description":"The person's latest","items":{"type":"object","required":["kind","at","position"],"properties":{"kind":{"type":"string"},"at":{"type":"string","format":"date-time"},"position":{"type":"string"}}}},"reasons":{"type":"array","items":{"type":"string"}},\(progress)}},
    "Segments":{"type":"object","required":["persons","turned_away","segments","clusters"],"properties":{"persons":{"type":"integer"},"turned_away":{"type":"integer","description":"Persons and preferences for which there was no room"},
    "segments":{"type":"array","items":{"type":"object","properties":{\(segment)}}},"clusters":{"type":"array","items":{"type":"object","properties":{\(segment)}}},\(progress)}},
    "Segment":{"type":"object","required":["id","kind","description","persons","share"],"properties":{\(segment),
    "changes":{"type":"array","description":"Of a rule, the latest first","items":{"type":"object","properties":{"person_key":{"type":"string"},"change":{"enum":["entered","left"]},"at":{"type":"string","format":"date-time"}}}},
    "center":{"type":"object","additionalProperties":{"type":"number"}},"kept_share":{"type":"number","description":"Of the persons at the last refresh, those who kept the name of their cluster"},"refreshed_at":{"type":"string","format":"date-time"},\(progress)}},
    "ExpectedEngagements":{"type":"object","required":["median","interval"],"properties":{"median":{"type":"number"},"interval":{"type":"array","description":"80 of 100 hours lie within","minItems":2,"maxItems":2,"items":{"type":"number"}}}},
    "Forecasts":{"type":"object","required":["series"],"properties":{"series":{"type":"array","items":{"type":"object","required":["campaign","hours","last","hours_below","hours_above","next"],"properties":{"campaign":{"type":"string","description":"Empty for the whole site"},"hours":{"type":"integer","description":"That are over"},
    "last":{"type":"object","required":["start","engagements","expected"],"properties":{"start":{"type":"string","format":"date-time"},"engagements":{"type":"integer"},"expected":{"anyOf":[{"$ref":"#/components/schemas/ExpectedEngagements"},{"type":"null"}]}}},"hours_below":{"type":"integer","description":"In a row below the interval"},"hours_above":{"type":"integer"},
    "next":{"type":"array","items":{"type":"object","required":["start","expected"],"properties":{"start":{"type":"string","format":"date-time"},"expected":{"$ref":"#/components/schemas/ExpectedEngagements"}}}}}}}}},
    "Novelties":{"type":"object","required":["series","as_of","position","complete"],"properties":{"series":{"type":"array","items":{"type":"object","required":["campaign","quantity","currency","bins","last","anomaly"],"properties":{"campaign":{"type":"string","description":"Empty for the whole site"},"quantity":{"enum":["revenue_per_conversion","seconds_in_view"]},"currency":{"type":"string","description":"Of the money, else empty"},"bins":{"type":"integer","description":"Of five minutes, with enough events for a mean"},
    "last":{"$ref":"#/components/schemas/NoveltyPoint"},"anomaly":{"description":"The newest","anyOf":[{"type":"null"},{"allOf":[{"$ref":"#/components/schemas/NoveltyPoint"},{"type":"object","required":["fresh","regards"],"properties":{"fresh":{"type":"boolean","description":"Within the last half hour"},"regards":{"type":"array","description":"In what regard it was new, the most first","items":{"type":"object","required":["regard","share"],"properties":{"regard":{"enum":["value","pair","shortLevel","longLevel","hourOfWeek"]},"share":{"type":"number","description":"Of the largest so far"}}}}}}]}]}}}},\(progress)}},
    "NoveltyPoint":{"type":"object","required":["start","value","usual","novelty"],"properties":{"start":{"type":"string","format":"date-time"},"value":{"type":"number"},"usual":{"type":["number","null"],"description":"A mean of those before"},"novelty":{"type":"number","description":"0: as ever; 1: as new as anything so far in each regard"}}},
    "Timing":{"type":"object","required":["channel","audience","slots","propensities","coming","learned_from"],"properties":{"channel":{"type":"string"},
    "coming":{"type":"array","description":"What the site's next day is expected to bring, by the hour","items":{"type":"object","required":["start","engagements","engagements_interval"],"properties":{"start":{"type":"string","format":"date-time"},"engagements":{"type":"number"},"engagements_interval":{"type":"array","minItems":2,"maxItems":2,"items":{"type":"number"}}}}},"audience":{"type":"string"},
    "slots":{"type":"array","items":{"type":"object","required":["hour_of_week","gain","gain_interval","engagements","engagements_interval","posts"],"properties":{"hour_of_week":{"type":"string"},
    "gain":{"type":"number","description":"Above an hour drawn from all that are allowed, as a share"},"gain_interval":\(interval),"engagements":{"type":"number","description":"By post, or by reach where posts say it"},"engagements_interval":\(interval),"posts":{"type":"integer"}}}},
    "propensities":{"type":"object","description":"By hour of the week, add up to 1","additionalProperties":{"type":"number"}},
    "learned_from":{"type":"object","properties":{"posts":{"type":"integer"},"engagements":{"type":"integer"},"dispersion":{"type":"number"},"pending_posts":{"type":"integer"},"posts_not_drawn":{"type":"integer"},"turned_away":{"type":"integer"}}},\(progress)}}
    """
}
