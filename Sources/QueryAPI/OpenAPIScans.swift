import Analyses

/// What the OpenAPI document says of questions that are answered by scanning the log.
enum OpenAPIScans {
  /// Responses of a question that may become a scan.
  static let responses = """
    "202":{"description":"The log is being scanned: ask Location for the answer","headers":{"Location":{"schema":{"type":"string"}},"Retry-After":{"schema":{"type":"integer"}}},"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Scan"}}}},"409":{"$ref":"#/components/responses/Problem"},"422":{"$ref":"#/components/responses/Problem"},"500":{"$ref":"#/components/responses/Problem"}
    """

  static let wait = """
    {"name":"wait","in":"query","description":"How long to wait for a scan of the log before its address is given, seconds","schema":{"type":"number","minimum":0,"maximum":\(Int(ScanService.waitSecondsMax))}}
    """

  private static let id = """
    {"name":"id","in":"path","required":true,"description":"Of the scan","schema":{"type":"string"}}
    """

  private static let errors = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"404":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}
    """

  static let paths = """
    "/v1/scans/{id}":{"get":{"tags":["query"],"operationId":"scan","summary":"The answer of a scan of the log, or how far it has come","security":[{"token":[]},{}],"parameters":[\(id),\(wait)],"responses":{"200":{"description":"The answer, in the form of the question's route","content":{"application/json":{"schema":{"type":"object"}},"text/csv":{"schema":{"type":"string"}}}},\(responses),\(errors)}},
    "delete":{"tags":["query"],"operationId":"cancelScan","summary":"Cancel a scan for all who asked the same","security":[{"token":[]},{}],"parameters":[\(id)],"responses":{"200":{"description":"It does not run any more","content":{"application/json":{"schema":{"type":"object","required":["scan","state"],"properties":{"scan":{"type":"string"},"state":{"enum":["cancelled","ended"]}}}}}},\(errors)}}}
    """

  private static func quoted(_ names: [String]) -> String {
    names.map { "\"\($0)\"" }.joined(separator: ",")
  }

  /// A dimension by the name that its sender gave it.
  static let property = """
    {"type":"string","pattern":"^property:.+$","maxLength":\(BreakdownDimension.propertyPrefix.utf8.count + BreakdownDimension.propertyBytesMax)}
    """

  static let schemas = """
    "ScanQuery":{"type":"object","description":"A question that no read model answers, because of a metric or dimension that only the log has, of scan or of as_known_at. It is answered by scanning the log","required":["metrics","date_range"],"additionalProperties":false,"properties":{
    "format":{"enum":["json","csv"],"description":"In place of the header Accept; of a list of the most frequent, one at most, each entry has a row"},
    "scan":{"type":"boolean","description":"Scan the log even where a read model has the answer"},
    "as_known_at":{"type":"string","format":"date-time","description":"Leave out what was stored later: the answer as it could be known then"},
    "metrics":{"type":"array","description":"uniques are visitors, within 1 %; dwell in seconds and scroll in percent are quantiles of what events report, within 1 %; top lists, of any dimension, have counts that are at most `error` too high","minItems":1,"uniqueItems":true,"items":{"anyOf":[{"type":"string","enum":[\(quoted(ScanMetric.all.map(\.name)))]},{"type":"string","pattern":"^top_property:.+$"}]}},
    "top_limit":{"type":"integer","minimum":1,"maximum":\(BreakdownQuestion.topLengthMax),"default":\(BreakdownQuestion.topLength),"description":"Entries of a list of the most frequent: \(BreakdownQuestion.topLengthMax) values are counted at once, none too high by more than that part of all; `certain` says whether the entries are surely the true ones"},
    "dimensions":{"type":"array","uniqueItems":true,"description":"hour_of_week is such as 1-13 for Monday from 13:00 on in the time zone; source is utm_source or the referrer's host; segment is each segment with `events: true` in segments.yaml that the person was in at the event's time, so that an event counts in several rows, or in the one without a name; property:NAME is what the sender of the event put there, at most \(ScanRequestParser.propertyCountMax) of them in a question","items":{"anyOf":[{"type":"string","enum":[\(quoted(ScanRequestParser.dimensionNames + Granularity.allCases.map(\.dimensionName)))]},\(property)]}},
    "site_id":{"type":"string","default":"default"},"pipeline":{"type":"string","description":"By whose rules events count"},
    "date_range":{"description":"As in Query, with edges anywhere"},
    "filters":{"type":"array","description":"As in Query, on any of the dimensions; of segments `is` holds where the person was in one of them, `is_not` where in none","items":{"type":"array"}},
    "granularity":{"$ref":"#/components/schemas/Granularity"},
    "order_by":{"type":"array","description":"Without it rows come by time, then dimensions","items":{"type":"array"}},
    "limit":{"type":"integer","minimum":1,"maximum":\(QueryRequest.limitMax),"default":\(QueryRequest.limitDefault)},
    "offset":{"type":"integer","minimum":0,"maximum":\(QueryRequest.offsetMax),"default":0},
    "timezone":{"type":"string","default":"UTC"},"traffic":{"enum":["people","bots","all"],"default":"people"},
    "compare":{"enum":["previous"],"description":"As in Query"},
    "after":{"type":"string","description":"The log has every position"},"timeout":{"type":"number"}}},
    "ScanAnswer":{"type":"object","required":["results","meta","query"],"properties":{
    "results":{"type":"array","items":{"type":"object","required":["dimensions","metrics"],"properties":{"dimensions":{"type":"array","items":{"type":"string"}},"metrics":{"type":"array"},"previous":{"type":"object","required":["metrics","changes"],"description":"The period before, where it is compared","properties":{"metrics":{"type":"array"},"changes":{"type":"array","description":"By which part of what it was each metric is more; null where it was nothing"}}}}}},
    "meta":{"type":"object","required":["position","watermark","final","scanned","events_read","other_share"],"properties":{
    "position":{"type":"string"},"watermark":{"type":["string","null"]},"final":{"type":"boolean"},"log_time":{"type":["string","null"]},"as_of":{"type":"string"},
    "as_known_at":{"type":["string","null"]},"scanned":{"const":true},"frames_read":{"type":"integer"},"events_read":{"type":"integer"},
    "duplicates":{"type":"integer","description":"Copies among the events that were read"},"too_late":{"type":"integer"},"in_range":{"type":"integer","description":"Events that count and are in the range, before filters"},
    "late":{"type":"integer","description":"Of these, how many came after the watermark had passed their 10 s window"},"revision":{"type":"integer","description":"Frames that brought such events: how often what was final has been corrected"},
    "other_share":{"type":"number","description":"Of the events counted, the share in rows whose dimensions are (other), because there were too many groups"},
    "currencies":{"type":"array","items":{"type":"string"}},"row_count":{"type":"integer"},"warnings":{"type":"array","items":{"type":"string"}}}},
    "query":{"type":"object"}}},
    "Scan":{"type":"object","required":["scan","state","progress"],"properties":{"scan":{"type":"string"},"state":{"enum":["waiting","running"]},
    "progress":{"type":"number","minimum":0,"maximum":1},"frames_done":{"type":"integer"},"frames_total":{"type":"integer"},"events_read":{"type":"integer"},
    "elapsed_seconds":{"type":"number"},"remaining_seconds":{"type":["number","null"],"description":"As it has gone so far"}}}
    """
}
