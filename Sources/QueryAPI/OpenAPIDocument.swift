import Events
import Views

/// The OpenAPI 3.1 description of every route, as `/openapi.json` answers it.
///
/// Kept by hand, because it is read by people who write clients; a test holds it against the
/// declared routes and the parser's lists.
enum OpenAPIDocument {
  static let text = """
    {"openapi":"3.1.0",
    "info":{"title":"SmartContent","version":"1","summary":"From a pixel to a live, exact number.",
    "description":"Events go in by the pixel or the protocols of Segment, RudderStack, PostHog, Google Analytics 4, Snowplow, Matomo and CloudEvents, and come out as metrics. An ingest answer carries a position; a query with that position as `after` contains the event."},
    "tags":[{"name":"ingest"},{"name":"debug"},{"name":"query"},{"name":"experiments"},{"name":"incidents"},{"name":"decisions"},{"name":"recommendations"},{"name":"profiles"},{"name":"keys"},{"name":"operations"}],
    "paths":{\(ingestPaths),
    \(OpenAPIIngest.debugPaths),
    \(queryPaths),
    \(OpenAPIIncidents.paths),
    \(OpenAPIExperiments.paths),
    \(OpenAPIDecisions.paths),
    \(OpenAPIRecommendations.paths),
    \(OpenAPIProfiles.paths),
    \(keyPaths),
    \(operationsPaths)},
    "components":{\(components)}}
    """

  private static let ingestPaths = """
    "/p.gif":{"get":{"tags":["ingest"],"operationId":"pixel","summary":"Record one event; answered with a 43-byte GIF once it is durable","parameters":[
    {"name":"k","in":"query","required":true,"description":"Write key","schema":{"type":"string"}},
    {"name":"t","in":"query","description":"Kind of event","schema":{"type":"string","enum":["impression","view","click","engagement","conversion","identify","custom","alias","unlink","exposure"],"default":"impression"}},
    {"name":"cid","in":"query","description":"Campaign","schema":{"type":"string"}},
    {"name":"cnt","in":"query","description":"Content","schema":{"type":"string"}},
    {"name":"var","in":"query","description":"Variant","schema":{"type":"string"}},
    {"name":"ch","in":"query","description":"Channel","schema":{"type":"string"}},
    {"name":"uid","in":"query","description":"User id","schema":{"type":"string"}},
    {"name":"aid","in":"query","description":"Anonymous id","schema":{"type":"string"}},
    {"name":"eid","in":"query","description":"Event id; the same id counts once","schema":{"type":"string"}},
    {"name":"ts","in":"query","description":"Event time, milliseconds since the epoch","schema":{"type":"integer"}},
    {"name":"v","in":"query","description":"Money of a conversion","schema":{"type":"number"}},
    {"name":"cur","in":"query","description":"Its currency, ISO 4217","schema":{"type":"string"}}],
    "responses":{"200":{"description":"The event is durable","headers":{"SmartContent-Position":{"description":"Position of the event, for `after`","schema":{"type":"string"}}},"content":{"image/gif":{}}},\(ingestErrors)}}},
    "/t.js":{"get":{"tags":["ingest"],"operationId":"tracker","summary":"The script that pages load to send events","responses":{"200":{"description":"It","headers":{"ETag":{"schema":{"type":"string"}}},"content":{"text/javascript":{}}},"304":{"description":"The caller has it, as If-None-Match says"}}}},
    \(OpenAPIIngest.paths)
    """

  static let ingestErrors = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"403":{"$ref":"#/components/responses/Problem"},"429":{"$ref":"#/components/responses/Unavailable"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  private static let queryErrors = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"422":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  private static let answer = """
    "200":{"description":"The answer","headers":{"SmartContent-Position":{"description":"Of CSV: what the rows contain of the log","schema":{"type":"string"}},"SmartContent-Final":{"description":"Of CSV: whether the watermark has passed the end of the range","schema":{"type":"string"}}},"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Answer"}},"text/csv":{"schema":{"type":"string","description":"RFC 4180 with a header row; a rate is followed by its interval as _low and _high, money has a column for each currency, what is compared adds _before, _change, _difference_low and _difference_high"}}}}
    """

  private static let waiting = """
    {"name":"after","in":"query","description":"A position that the answer must cover","schema":{"type":"string"}},{"name":"timeout","in":"query","description":"How long to wait for it, seconds","schema":{"type":"number","minimum":0,"maximum":\(QueryRequest.timeoutMsMax / 1000),"default":\(QueryRequest.timeoutMsDefault / 1000)}}
    """

  /// Of routes that answer CSV, too.
  static let format = """
    {"name":"format","in":"query","description":"In place of the header Accept","schema":{"enum":["json","csv"]}}
    """

  private static let queryPaths = """
    "/v1/query":{"post":{"tags":["query"],"operationId":"query","summary":"Metrics by dimensions and time","security":[{"token":[]},{}],"parameters":[\(waiting),\(OpenAPIScans.wait)],"requestBody":{"required":true,"content":{"application/json":{"schema":{"anyOf":[{"$ref":"#/components/schemas/Query"},{"$ref":"#/components/schemas/ScanQuery"}]}}}},"responses":{"200":{"description":"The answer","content":{"application/json":{"schema":{"anyOf":[{"$ref":"#/components/schemas/Answer"},{"$ref":"#/components/schemas/ScanAnswer"}]}}}},\(OpenAPIScans.responses),"400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"},"504":{"$ref":"#/components/responses/Problem"}}}},
    \(OpenAPIScans.paths),
    \(OpenAPIPersons.paths),
    "/v1/content/{id}/metrics":{"get":{"tags":["query"],"operationId":"contentMetrics","summary":"All metrics of one content by variant","security":[{"token":[]},{}],"parameters":[
    {"name":"id","in":"path","required":true,"description":"Content","schema":{"type":"string"}},
    {"name":"date_range","in":"query","description":"As in a query; two edges with a comma between them","schema":{"type":"string","default":"30d"}},
    {"name":"granularity","in":"query","schema":{"$ref":"#/components/schemas/Granularity"}},
    {"name":"site_id","in":"query","schema":{"type":"string","default":"default"}},
    {"name":"pipeline","in":"query","schema":{"type":"string"}},
    {"name":"timezone","in":"query","schema":{"type":"string","default":"UTC"}},
    {"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":\(QueryRequest.limitMax),"default":\(QueryRequest.limitDefault)}},
    {"name":"offset","in":"query","schema":{"type":"integer","minimum":0,"maximum":\(QueryRequest.offsetMax),"default":0}},
    {"name":"compare","in":"query","schema":{"enum":["previous"]}},
    \(format),
    \(waiting)],"responses":{\(answer),\(queryErrors),"504":{"$ref":"#/components/responses/Problem"}}}},
    "/v1/stream":{"get":{"tags":["query"],"operationId":"stream","summary":"A query's answer as it changes: server-sent events `snapshot`, `change` and `progress`, each with its position as id","security":[{"token":[]},{}],"parameters":[
    {"name":"query","in":"query","required":true,"description":"The JSON of a query, percent-encoded","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Query"}}}},
    {"name":"last_event_id","in":"query","description":"As the header Last-Event-ID","schema":{"type":"string"}},
    {"name":"Last-Event-ID","in":"header","description":"How far the client has come; without anything newer the snapshot is left out","schema":{"type":"string"}}],
    "responses":{"200":{"description":"Events until the client closes; `change` carries changed rows and the dimensions of removed ones","content":{"text/event-stream":{"schema":{"type":"string"}}}},\(queryErrors)}}},
    "/v1/trends":{"get":{"tags":["query"],"operationId":"trends","summary":"What rises most: the newest hopping window beside the one before it","security":[{"token":[]},{}],"parameters":[
    {"name":"by","in":"query","schema":{"type":"string","enum":[\(dimensionNames)],"default":"campaign"}},
    {"name":"metric","in":"query","description":"By whose change rows are ordered","schema":{"type":"string","enum":[\(quoted(TrendRequest.metrics.map(\.rawValue)))],"default":"clicks"}},
    {"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":\(TrendRequest.limitMax),"default":\(TrendRequest.limitDefault)}},
    {"name":"site_id","in":"query","schema":{"type":"string","default":"default"}},
    \(format),
    {"name":"pipeline","in":"query","description":"One that declares trends","schema":{"type":"string"}}],
    "responses":{"200":{"description":"The newest window, open or final, and the one before","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Trends"}},"text/csv":{"schema":{"type":"string","description":"A row for each value of `by`: its counts, the same of the window before as _before, change and ratio"}}}},\(queryErrors)}}},
    "/v1/accounting":{"get":{"tags":["query"],"operationId":"accounting","summary":"What became of every event: on_time + late + too_late + duplicate + rejected = received","security":[{"token":[]},{}],"parameters":[{"name":"pipeline","in":"query","schema":{"type":"string"}}],"responses":{"200":{"description":"Counts since the beginning of the log","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Accounting"}}}},\(queryErrors)}}}
    """

  private static let newKey = """
    "201":{"description":"The key itself, shown this once","headers":{"Cache-Control":{"schema":{"const":"no-store"}}},"content":{"application/json":{"schema":{"$ref":"#/components/schemas/NewKey"}}}}
    """

  private static let keyErrors = """
    "401":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  private static let keyChangeErrors = """
    "400":{"$ref":"#/components/responses/Problem"},"403":{"$ref":"#/components/responses/Problem"},"409":{"$ref":"#/components/responses/Problem"},"413":{"$ref":"#/components/responses/Problem"},\(keyErrors)
    """

  private static let keyID = """
    {"name":"id","in":"path","required":true,"description":"Id of the key","schema":{"type":"string"}}
    """

  /// Where the process has a file of write keys.
  private static let keyPaths = """
    "/v1/keys":{"get":{"tags":["keys"],"operationId":"listKeys","summary":"All write keys without the keys themselves","security":[{"token":[]},{}],"responses":{"200":{"description":"In the order in which they were made","content":{"application/json":{"schema":{"type":"object","required":["keys"],"properties":{"keys":{"type":"array","items":{"$ref":"#/components/schemas/Key"}}}}}}},\(keyErrors)}},
    "post":{"tags":["keys"],"operationId":"addKey","summary":"Make a write key, or take one over from another tool","security":[{"token":[]},{}],"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/KeyDraft"}}}},"responses":{\(newKey),\(keyChangeErrors)}}},
    "/v1/keys/{id}/rotate":{"post":{"tags":["keys"],"operationId":"rotateKey","summary":"Make a key in the place of an active one, which is accepted beside it for a while","security":[{"token":[]},{}],"parameters":[\(keyID)],"requestBody":{"required":false,"content":{"application/json":{"schema":{"type":"object","additionalProperties":false,"properties":{"overlap_seconds":{"type":"integer","minimum":0,"maximum":31622400,"default":86400,"description":"How long the old key is accepted"}}}}}},"responses":{\(newKey),"404":{"$ref":"#/components/responses/Problem"},\(keyChangeErrors)}}},
    "/v1/keys/{id}":{"patch":{"tags":["keys"],"operationId":"updateKey","summary":"Change parts of a write key's policy; events that are stored already stay as they are","security":[{"token":[]},{}],"parameters":[\(keyID)],"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","additionalProperties":false,"properties":{"policy":{"$ref":"#/components/schemas/KeyPolicy"}}}}}},"responses":{"200":{"description":"The key as it is now","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Key"}}}},"404":{"$ref":"#/components/responses/Problem"},\(keyChangeErrors)}},
    "delete":{"tags":["keys"],"operationId":"revokeKey","summary":"Accept a write key no longer; once more changes nothing","security":[{"token":[]},{}],"parameters":[\(keyID)],"responses":{"200":{"description":"The key as it is now","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Key"}}}},"400":{"$ref":"#/components/responses/Problem"},"403":{"$ref":"#/components/responses/Problem"},"404":{"$ref":"#/components/responses/Problem"},\(keyErrors)}}}
    """

  private static let operationsPaths = """
    "/health/live":{"get":{"tags":["operations"],"operationId":"live","summary":"Whether the process answers","responses":{"200":{"description":"It does","content":{"application/json":{"schema":{"type":"object"}}}}}}},
    "/health/ready":{"get":{"tags":["operations"],"operationId":"ready","summary":"Whether everything that it needs answers","responses":{"200":{"description":"It does","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Health"}}}},"503":{"description":"What is wrong","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Health"}}}}}}},
    "/metrics":{"get":{"tags":["operations"],"operationId":"metrics","summary":"Prometheus text or OpenMetrics, by Accept","responses":{"200":{"description":"All metrics","content":{"text/plain":{},"application/openmetrics-text":{}}}}}},
    "/openapi.json":{"get":{"tags":["operations"],"operationId":"openapi","summary":"This document","responses":{"200":{"description":"OpenAPI 3.1","content":{"application/json":{}}}}}},
    "/":{"get":{"tags":["operations"],"operationId":"console","summary":"The live page","responses":{"200":{"description":"HTML","content":{"text/html":{}}}}}},
    "/debug":{"get":{"tags":["operations"],"operationId":"debugger","summary":"The page of events as they arrive","responses":{"200":{"description":"HTML","content":{"text/html":{}}}}}}
    """

  private static let metricNames = quoted(Metric.allCases.map(\.rawValue))
  private static let dimensionNames = quoted(QueryRequest.queryDimensions.map(\.name))

  private static func quoted(_ names: [String]) -> String {
    names.map { "\"\($0)\"" }.joined(separator: ",")
  }

  private static let components = """
    "securitySchemes":{"token":{"type":"http","scheme":"bearer","description":"Needed where the API listens beyond its own machine"},"writeKey":{"type":"http","scheme":"basic","description":"The write key as user name; or `writeKey` in the body"}},
    "responses":{"Problem":{"description":"What is wrong, where, and what is allowed","content":{"application/problem+json":{"schema":{"$ref":"#/components/schemas/Problem"}}}},"Unavailable":{"description":"Try again after Retry-After seconds","headers":{"Retry-After":{"schema":{"type":"integer"}}},"content":{"application/problem+json":{"schema":{"$ref":"#/components/schemas/Problem"}}}}},
    "schemas":{\(schemas)}
    """

  private static let keyMembers = """
    "id":{"type":"string"},"state":{"enum":["active","ending","ended","revoked"]},"site":{"type":"string"},"source":{"type":"string"},"created_at":{"type":"string","format":"date-time"},"expires_at":{"type":"string","format":"date-time","description":"When it ends, because it was rotated"},"revoked_at":{"type":"string","format":"date-time"},"policy":{"$ref":"#/components/schemas/KeyPolicy"}
    """

  private static let schemas = """
    "Granularity":{"type":"string","enum":[\(quoted(Granularity.allCases.map(\.rawValue)))]},
    "Query":{"type":"object","additionalProperties":false,"required":["metrics","date_range"],"properties":{
    "site_id":{"type":"string","default":"default"},
    "pipeline":{"type":"string","description":"One of those that are served; the first is the default"},
    "metrics":{"type":"array","description":"Those of sessions and attribution need a pipeline that declares persons; session_duration is seconds per session","minItems":1,"uniqueItems":true,"items":{"type":"string","enum":[\(metricNames)]}},
    "date_range":{"description":"Ranges of m and h end now, at the next 10 s, those of more than a day at the next minute; d, today (or day) and month are whole local days, today included. Timestamps must be at full 10 s, the end is excluded; dates are local days, the end is included. 10 s windows are kept 48 hours, minutes 90 days, hours and days for ever","anyOf":[{"type":"string","pattern":"^([0-9]+[mhd]|day|today|yesterday|month|all)$","examples":["30m","24h","48h","7d","30d","today","yesterday"]},{"type":"array","minItems":2,"maxItems":2,"items":{"type":"string"},"examples":[["2026-11-01T00:00:00Z","2026-11-02T00:00:00Z"],["2026-11-01","2026-11-30"]]}]},
    "dimensions":{"type":"array","uniqueItems":true,"items":{"type":"string","enum":[\(dimensionNames),\(quoted(Granularity.allCases.map(\.dimensionName)))]}},
    "granularity":{"$ref":"#/components/schemas/Granularity"},
    "filters":{"type":"array","description":"All of them hold; of those within an `or` one does, on whatever dimensions they are. At most \(QueryRequest.filterCountMax) filters in all","maxItems":\(QueryRequest.filterCountMax),"items":{"type":"array","examples":[["is","campaign",["spring"]],["is_not","variant",["a"]],["contains","content",["post-"]],["or",[["is","campaign",["spring"]],["and",[["is","channel",["mail"]],["is","variant",["a"]]]]]]]}},
    "order_by":{"type":"array","description":"Without it rows come by time, then dimensions","items":{"type":"array","minItems":2,"maxItems":2,"prefixItems":[{"type":"string"},{"enum":["asc","desc"]}]}},
    "limit":{"type":"integer","minimum":1,"maximum":\(QueryRequest.limitMax),"default":\(QueryRequest.limitDefault)},
    "offset":{"type":"integer","minimum":0,"maximum":\(QueryRequest.offsetMax),"default":0},
    "timezone":{"type":"string","default":"UTC","description":"IANA name"},
    "traffic":{"enum":["people","bots","all"],"default":"people","description":"Whose events count; grouping or filtering by the dimension traffic (empty: people; bot) takes its place"},
    "compare":{"enum":["previous"],"description":"Adds to each row the same of the period before: days before days, whole months before whole months, else so much time before. Where the range lasts beyond now it ends as far into itself as now is into the range"},
    "format":{"enum":["json","csv"],"description":"In place of the header Accept; of a stream json alone"},
    "after":{"type":"string","description":"A position that the answer must cover"},
    "timeout":{"type":"number","minimum":0,"maximum":\(QueryRequest.timeoutMsMax / 1000),"default":\(QueryRequest.timeoutMsDefault / 1000),"description":"Seconds"}}},
    "Metric":{"description":"Counts are integers; ratios are numbers, or null without a denominator; revenues are objects of amounts by currency","anyOf":[{"type":"integer"},{"type":"number"},{"type":"null"},{"type":"object","additionalProperties":{"type":"number"}}]},
    "Row":{"type":"object","required":["dimensions","metrics"],"properties":{"dimensions":{"type":"array","description":"The time bucket's start first, where one was asked for","items":{"type":"string"}},"metrics":{"type":"array","items":{"$ref":"#/components/schemas/Metric"}},"intervals":{"$ref":"#/components/schemas/Intervals"},"previous":{"type":"object","required":["metrics","changes"],"description":"The period before, where it is compared","properties":{"metrics":{"type":"array","items":{"$ref":"#/components/schemas/Metric"}},"intervals":{"$ref":"#/components/schemas/Intervals"},"changes":{"type":"array","description":"By which part of what it was each metric is more; null where it was nothing","items":{"anyOf":[{"type":["number","null"]},{"type":"object","additionalProperties":{"type":["number","null"]}}]}},"differences":{"$ref":"#/components/schemas/Intervals","description":"Of each rate minus what it was"}}}}},
    "Intervals":{"type":"object","description":"By rate: the ends of the 95 % credible interval (Jeffreys' prior, equal tails; a Poisson rate where the part is more than the whole), or null without a denominator","additionalProperties":{"type":["array","null"],"minItems":2,"maxItems":2,"items":{"type":"number"}}},
    "Meta":{"type":"object","required":["position","watermark","final","log_time","as_of","revision","currencies","row_count","warnings"],"properties":{
    "position":{"type":"string","description":"What the rows contain of the log"},
    "watermark":{"type":["string","null"],"format":"date-time","description":"No event on time is older"},
    "final":{"type":"boolean","description":"The watermark has passed the end of the range"},
    "log_time":{"type":["string","null"],"format":"date-time","description":"When the newest event of the rows was stored"},
    "as_of":{"type":"string","format":"date-time","description":"When the answer was computed: who asks the same within 100 ms may get the same one"},
    "revision":{"type":"integer","description":"How many frames have corrected the most corrected row that the answer is made of, after it was final"},
    "lag_frames":{"type":"integer","description":"Frames of the log that the rows do not contain yet"},
    "currencies":{"type":"array","items":{"type":"string"}},
    "row_count":{"type":"integer","description":"Rows before limit and offset"},
    "warnings":{"type":"array","items":{"type":"string"}}}},
    "Answer":{"type":"object","required":["results","meta","query"],"properties":{"results":{"type":"array","items":{"$ref":"#/components/schemas/Row"}},"meta":{"$ref":"#/components/schemas/Meta"},"query":{"type":"object","description":"The query as it was understood"}}},
    "Trends":{"type":"object","required":["by","metric","window","before","final","trends","row_count","position","watermark","log_time","as_of"],"properties":{
    "by":{"type":"string"},"metric":{"type":"string"},
    "window":{"$ref":"#/components/schemas/Window"},"before":{"$ref":"#/components/schemas/Window"},
    "final":{"type":"boolean","description":"The watermark has passed the end of the window"},
    "trends":{"type":"array","description":"The greatest rise first; the value stands under the name of `by`","items":{"type":"object","required":["current","before","change","ratio"],"properties":{
    "current":{"type":"object","description":"What was counted in the window, by metric","additionalProperties":{"$ref":"#/components/schemas/Metric"}},
    "before":{"type":"object","description":"The same for the window before","additionalProperties":{"$ref":"#/components/schemas/Metric"}},
    "change":{"type":"integer","description":"What `metric` has more than before"},
    "ratio":{"type":["number","null"],"description":"How many times as much it is; null where there was none before"}}}},
    "row_count":{"type":"integer","description":"Rows before the limit"},
    "position":{"type":"string","description":"What the windows contain of the log"},
    "watermark":{"type":["string","null"],"format":"date-time"},"log_time":{"type":["string","null"],"format":"date-time"},"as_of":{"type":"string","format":"date-time"}}},
    "Window":{"type":["object","null"],"required":["from","to"],"properties":{"from":{"type":"string","format":"date-time"},"to":{"type":"string","format":"date-time","description":"Exclusive"}}},
    "Accounting":{"type":"object","required":["pipeline","received","on_time","late","too_late","duplicate","rejected","clamped_future","conserved"],"properties":{"pipeline":{"type":"string"},"received":{"type":"integer"},"on_time":{"type":"integer"},"late":{"type":"integer"},"too_late":{"type":"integer"},"duplicate":{"type":"integer"},"rejected":{"type":"integer"},"clamped_future":{"type":"integer"},"conserved":{"type":"boolean"}}},
    "KeyPolicy":{"type":"object","additionalProperties":false,"properties":{
    "origins":{"type":["array","null"],"description":"Pages that may send; none or null: any","maxItems":100,"items":{"type":"string","examples":["https://www.example.org","https://*.example.org"]}},
    "events_per_second_max":{"type":["integer","null"],"minimum":1,"maximum":1000000,"description":"Beyond it requests get 429; a burst of two seconds is taken; null: no limit"},
    "address":{"enum":["drop","truncate"],"default":"truncate"},
    "personal_data":{"enum":["keep","remove","encrypt"],"default":"remove","description":"encrypt: with a key of the person's own, which can be erased"},
    "identifiers":{"enum":["keep","pseudonym"],"default":"keep"},
    "honours_dnt":{"type":"boolean","default":false},"honours_gpc":{"type":"boolean","default":false}}},
    "KeyDraft":{"type":"object","additionalProperties":false,"required":["site"],"properties":{
    "value":{"type":"string","minLength":1,"maxLength":128,"description":"The key itself, of characters that can be seen, taken over from another tool; else one is made"},
    "site":{"type":"string","minLength":1,"maxLength":128},
    "source":{"type":"string","minLength":1,"maxLength":128,"description":"Event ids are unique within it; by default the key's id"},
    "policy":{"$ref":"#/components/schemas/KeyPolicy"}}},
    "Key":{"type":"object","required":["id","state","site","source","created_at","policy"],"properties":{\(keyMembers)}},
    "NewKey":{"type":"object","required":["key","id","state","site","source","created_at","policy"],"properties":{"key":{"type":"string"},\(keyMembers)}},
    \(OpenAPIIncidents.schemas),
    \(OpenAPIIngest.schemas),
    \(OpenAPIScans.schemas),
    \(OpenAPIExperiments.schemas),
    \(OpenAPIPersons.schemas),
    \(OpenAPIDecisions.schemas),
    \(OpenAPIRecommendations.schemas),
    \(OpenAPIProfiles.schemas),
    "Health":{"type":"object","required":["status","checks"],"properties":{"status":{"enum":["ok","degraded","failing"]},"checks":{"type":"array","items":{"type":"object","required":["name","status"],"properties":{"name":{"type":"string"},"status":{"enum":["ok","degraded","failing"]},"detail":{"type":"string"}}}}}},
    "Problem":{"type":"object","description":"RFC 9457","required":["type","title","status","detail","code","message"],"properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"code":{"type":"string"},"message":{"type":"string"},"path":{"type":"string"},"allowed":{"type":"array","items":{"type":"string"}},"position":{"type":"string"}}}
    """
}
