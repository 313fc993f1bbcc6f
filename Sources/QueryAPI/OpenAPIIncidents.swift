import Views

/// The part of the OpenAPI description that is about incidents.
enum OpenAPIIncidents {
  private static func words(_ words: [String]) -> String {
    words.map { "\"\($0)\"" }.joined(separator: ",")
  }

  private static let kinds = words(IncidentRow.Kind.allCases.map(\.name))
  private static let severities = words(IncidentRow.Severity.allCases.map(\.name))
  private static let verdicts = words(IncidentFeedback.Verdict.allCases.map(\.name))

  private static let errors = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"422":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  private static let id = """
    {"name":"id","in":"path","required":true,"description":"Id of the incident","schema":{"type":"string"}}
    """

  private static let pipeline = """
    {"name":"pipeline","in":"query","description":"One that declares anomalies","schema":{"type":"string"}}
    """

  private static let timezone = """
    {"name":"timezone","in":"query","description":"IANA name, of the times in `summary`","schema":{"type":"string","default":"UTC"}}
    """

  static let paths = """
    "/v1/incidents":{"get":{"tags":["incidents"],"operationId":"incidents","summary":"What was or is not as usual, the newest first","security":[{"token":[]},{}],"parameters":[
    {"name":"site_id","in":"query","description":"By default those of all sites","schema":{"type":"string"}},
    {"name":"campaign","in":"query","schema":{"type":"string"}},
    {"name":"content","in":"query","schema":{"type":"string"}},
    {"name":"open","in":"query","description":"Only those that go on, or only those that are over","schema":{"type":"boolean"}},
    {"name":"since","in":"query","description":"Those that go on or ended at or after it","schema":{"type":"string","format":"date-time"}},
    {"name":"severity","in":"query","description":"At least","schema":{"type":"string","enum":[\(severities)],"default":"info"}},
    {"name":"limit","in":"query","schema":{"type":"integer","minimum":1,"maximum":\(IncidentRequest.limitMax),"default":\(IncidentRequest.limitDefault)}},
    {"name":"before","in":"query","description":"The `next` of the page before","schema":{"type":"string"}},
    \(OpenAPIDocument.format),\(timezone),\(pipeline)],
    "responses":{"200":{"description":"One page","headers":{"SmartContent-Next":{"description":"Of CSV: what `next` is of JSON; not there on the last page","schema":{"type":"string"}}},"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Incidents"}},"text/csv":{"schema":{"type":"string","description":"A row for each incident, without its series"}}}},\(errors)}}},
    "/v1/incidents/{id}":{"get":{"tags":["incidents"],"operationId":"incident","summary":"One incident, and the others of its group","security":[{"token":[]},{}],"parameters":[\(id),\(timezone),\(pipeline)],"responses":{"200":{"description":"It","content":{"application/json":{"schema":{"type":"object","required":["incident","members"],"properties":{"incident":{"$ref":"#/components/schemas/Incident"},"members":{"type":"array","maxItems":\(IncidentService.memberCountMax),"items":{"$ref":"#/components/schemas/Incident"}}}}}}},"404":{"$ref":"#/components/responses/Problem"},\(errors)}}},
    "/v1/incidents/{id}/why":{"get":{"tags":["incidents"],"operationId":"incidentWhy","summary":"Why it is one: what each bin adds, the alternatives and their odds, and where in the log its events are","security":[{"token":[]},{}],"parameters":[\(id),\(timezone),\(pipeline)],"responses":{"200":{"description":"It","content":{"application/json":{"schema":{"type":"object","required":["incident","summary","observed","expected","range","contributions","change_point","contributor","audience","alternatives","from","until","log","reasons"],"properties":{"incident":{"type":"string"},"summary":{"type":"string"},"observed":{"type":"integer"},"expected":{"type":"number"},"range":{"type":"array","minItems":2,"maxItems":2,"items":{"type":"number"}},"contributions":{"type":"array","description":"Its bins, of the last ones that are kept","items":{"type":"object","required":["start","observed","expected","difference","share"],"properties":{"start":{"type":"string","format":"date-time"},"observed":{"type":"integer"},"expected":{"type":"number"},"difference":{"type":"number"},"share":{"type":"number"}}}},"change_point":{"type":["object","null"],"description":"Where the level left what is usual, as parts of it before and since; null where no bin stands out","required":["at","before","after","evidence"],"properties":{"at":{"type":"string","format":"date-time"},"before":{"type":"number"},"after":{"type":"number"},"evidence":{"type":"number","description":"Nats"}}},"contributor":{"type":["object","null"],"required":["dimension","value","share"],"properties":{"dimension":{"type":"string"},"value":{"type":"string"},"share":{"type":"number"}}},"audience":{"type":["array","null"],"description":"The device, browser and country with more of the deviation than is usual; of sites and campaigns, null where this process does not follow the log","items":{"type":"object","required":["dimension","value","share","usual"],"properties":{"dimension":{"enum":["device","browser","country"]},"value":{"type":"string"},"share":{"type":"number","description":"Of the deviation"},"usual":{"type":"number","description":"Of what is counted otherwise"}}}},"alternatives":{"type":"array","items":{"type":"object","required":["explanation","incident","odds"],"properties":{"explanation":{"type":"string","description":"as_usual, or the kind of another incident of the group"},"incident":{"type":["string","null"]},"odds":{"type":"number","description":"As likely as this incident"}}}},"from":{"type":"string","format":"date-time"},"until":{"type":"string","format":"date-time"},"log":{"type":["array","null"],"description":"Frames that were stored in this time; null while the log is away","items":{"type":"object","required":["stream","first","last"],"properties":{"stream":{"type":"string"},"first":{"type":"integer"},"last":{"type":"integer"}}}},"reasons":{"type":"array","items":{"type":"string"}}}}}}},"404":{"$ref":"#/components/responses/Problem"},\(errors)}}},
    "/v1/incidents/{id}/feedback":{"post":{"tags":["incidents"],"operationId":"feedback","summary":"Say what an incident was; answered once that is durable in the log. The same verdict counts once","security":[{"token":[]},{}],"parameters":[\(id),\(pipeline)],"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","additionalProperties":false,"required":["verdict"],"properties":{"verdict":{"enum":[\(verdicts)],"description":"expected: it is closed, and silent until it is over; not_an_anomaly: so it is, and from now on it takes more evidence"},"note":{"type":"string","maxLength":\(FeedbackRequest.noteBytesMax),"description":"At most so many bytes of UTF-8; personal data in it is removed"}}}}}},"responses":{"200":{"description":"It is in the log","content":{"application/json":{"schema":{"type":"object","required":["id","position"],"properties":{"id":{"type":"string","description":"Of the event"},"position":{"type":["string","null"],"description":"For `after`; null while it waits in the collector's spool"}}}}}},"403":{"$ref":"#/components/responses/Problem"},"404":{"$ref":"#/components/responses/Problem"},"413":{"$ref":"#/components/responses/Problem"},\(errors)}}}
    """

  static let schemas = """
    "Incidents":{"type":"object","required":["incidents","next","as_of"],"properties":{"incidents":{"type":"array","items":{"$ref":"#/components/schemas/Incident"}},"next":{"type":["string","null"],"description":"For `before`; null on the last page"},"as_of":{"type":"string","format":"date-time"}}},
    "Incident":{"type":"object","required":["id","site","campaign","content","kind","severity","open","begin","end","evidence","observed","expected","range","change","contributor","group","feedback","revision","summary","series"],"properties":{
    "id":{"type":"string"},"site":{"type":"string"},
    "campaign":{"type":"string","description":"Empty where it is about the whole site"},
    "content":{"type":"string","description":"Empty where it is about a whole campaign"},
    "kind":{"enum":[\(kinds)],"description":"traffic: impressions; rate: clicks of impressions; conversion: conversions of clicks"},
    "severity":{"enum":[\(severities)]},
    "open":{"type":"boolean"},
    "begin":{"type":"string","format":"date-time","description":"Start of its first bin"},
    "end":{"type":["string","null"],"format":"date-time","description":"Start of the first bin in which it was over"},
    "evidence":{"type":"number","description":"Nats, at most 12"},
    "observed":{"type":"integer","description":"Impressions, clicks or conversions since the begin"},
    "expected":{"type":"number","description":"What is usual"},
    "range":{"type":"array","minItems":2,"maxItems":2,"items":{"type":"number"},"description":"Where what is usual is 95 of 100 times"},
    "change":{"type":["number","null"],"description":"Observed by expected, less 1; null where nothing is expected"},
    "contributor":{"type":["object","null"],"description":"What has the largest share of the deviation","required":["dimension","value","share"],"properties":{"dimension":{"type":"string"},"value":{"type":"string"},"share":{"type":"number"}}},
    "group":{"type":"string","description":"Id of the incident that it belongs to; its own where it is that one"},
    "feedback":{"enum":[\(verdicts),null]},
    "revision":{"type":"integer"},
    "summary":{"type":"string","description":"What happened, in a sentence"},
    "series":{"type":"array","maxItems":\(IncidentRow.seriesCountMax),"items":{"type":"object","required":["start","observed","expected"],"properties":{"start":{"type":"string","format":"date-time"},"observed":{"type":"integer"},"expected":{"type":"number"}}}}}}
    """
}
