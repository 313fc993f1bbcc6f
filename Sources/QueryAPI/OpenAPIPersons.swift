import Analyses
import Events
import Views

/// What the OpenAPI document says of questions about persons.
enum OpenAPIPersons {
  private static func post(
    _ kind: PersonRequest.Kind, _ summary: String, question: String, answer: String
  ) -> String {
    """
    "/v1/\(kind.rawValue)":{"post":{"tags":["query"],"operationId":"\(kind.rawValue)","summary":"\(summary)","security":[{"token":[]},{}],"parameters":[\(OpenAPIScans.wait)],"requestBody":{"required":true,"content":{"application/json":{"schema":{"$ref":"#/components/schemas/\(question)"}}}},"responses":{"200":{"description":"The answer","content":{"application/json":{"schema":{"$ref":"#/components/schemas/\(answer)"}},"text/csv":{"schema":{"type":"string"}}}},\(OpenAPIScans.responses),"400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"},"503":{"$ref":"#/components/responses/Unavailable"}}}}
    """
  }

  static let paths = [
    post(
      .funnels, "How many persons go through steps in order, within a time limit",
      question: "FunnelQuery", answer: "FunnelAnswer"),
    post(
      .retention, "How many of those who began in a period come back in the periods after it",
      question: "RetentionQuery", answer: "RetentionAnswer"),
    post(
      .attribution, "What conversions are credited to", question: "AttributionQuery",
      answer: "AttributionAnswer"),
    post(
      .sessions, "Sessions: how many, how long, how many bounce", question: "SessionQuery",
      answer: "SessionAnswer"),
  ].joined(separator: ",\n")

  private static func quoted(_ names: [String]) -> String {
    names.map { "\"\($0)\"" }.joined(separator: ",")
  }

  /// What an answer is told apart by.
  ///
  /// - Parameters:
  ///   - of: of which event the values are.
  ///   - time: of which event a time bucket is; nil where there are none.
  private static func by(_ of: String, time: String?, default value: String = "") -> String {
    let names =
      ScanRequestParser.dimensionNames
      + (time == nil ? [] : Granularity.allCases.map(\.dimensionName))
    let item = """
      {"type":"string","enum":[\(quoted(names))]},\(OpenAPIScans.property)
      """
    let buckets =
      time.map { "; a time bucket is that of \($0), each as if it had been asked for alone" } ?? ""
    return """
      "by":{"description":"Told apart by this dimension of \(of), or by several\(buckets). By segment a person counts for each that it was in at that time","anyOf":[\(item),{"type":"array","minItems":1,"maxItems":\(PersonRequest.byCountMax),"uniqueItems":true,"items":{"anyOf":[\(item)]}}]\(value)}
      """
  }

  private static let change = """
    {"type":["number","null"],"description":"By which part of what it was it is more; null where it was nothing"}
    """

  private static let common = """
    "site_id":{"type":"string","default":"default"},"pipeline":{"type":"string","description":"By whose rules events count and persons are followed"},
    "date_range":{"description":"As in Query, with edges anywhere"},"timezone":{"type":"string","default":"UTC"},
    "traffic":{"enum":["people","bots","all"],"default":"people"},"filters":{"type":"array","description":"As in ScanQuery, on any of its dimensions, of every event that is asked for; of sessions of the first one","items":{"type":"array"}},
    "compare":{"enum":["previous"],"description":"The same of the period before, as `previous` of each row"},
    "limit":{"type":"integer","minimum":1,"maximum":\(QueryRequest.limitMax),"default":\(QueryRequest.limitDefault)},
    "format":{"enum":["json","csv"],"description":"In place of the header Accept"},
    "as_known_at":{"type":"string","format":"date-time","description":"Leave out what was stored later"}
    """

  private static let event = """
    "kind":{"type":"string","enum":[\(quoted(PersonRequestParser.kindNames))]},"kinds":{"type":"array","description":"Any of these","items":{"type":"string","enum":[\(quoted(PersonRequestParser.kindNames))]}},"event":{"type":"string","description":"Its name as the client sent it"},"filters":{"type":"array","description":"As in ScanQuery, on any of its dimensions","items":{"type":"array"}}
    """

  private static let duration = """
    {"type":"string","pattern":"^[0-9]+[smhd]$","examples":["30m","12h","7d"]}
    """

  private static let interval = """
    {"type":["array","null"],"description":"The ends of the 95 % credible interval","minItems":2,"maxItems":2,"items":{"type":"number"}}
    """

  private static let meta = """
    "meta":{"type":"object","required":["position","watermark","final","scanned","events_read","persons","left_out","passes"],"description":"As in ScanAnswer; passes is how often the log was read: again for each share of the persons where not all find room at once; persons are those with an event that is asked for, left_out those with more than \(PersonQuestion.personTouchesMax) such events, of whom nothing counts"},"query":{"type":"object"}
    """

  static let schemas = """
    "PersonEvent":{"type":"object","description":"Which events are meant: of a kind, of a name, or both","additionalProperties":false,"properties":{\(event)}},
    "FunnelQuery":{"type":"object","additionalProperties":false,"required":["date_range","steps","within"],"properties":{\(common),
    "steps":{"type":"array","minItems":\(Funnel.Question.stepCounts.lowerBound),"maxItems":\(Funnel.Question.stepCounts.upperBound),"items":{"type":"object","additionalProperties":false,"properties":{\(event),"name":{"type":"string","description":"In the answer"},"optional":{"type":"boolean","default":false,"description":"May be left out; the first and the last step may not"}}}},
    "within":\(duration),\(by("the first step", time: "the first step"))}},
    "FunnelAnswer":{"type":"object","required":["results","meta","query"],"properties":{"results":{"type":"array","items":{"type":"object","required":["open","steps"],"properties":{
    "open":{"type":"integer","description":"Persons who are not through and may still go further"},
    "steps":{"type":"array","items":{"type":"object","required":["name","optional","persons","from_before","from_start","median_seconds"],"properties":{"name":{"type":"string"},"optional":{"type":"boolean"},"persons":{"type":"integer"},
    "from_before":{"type":["number","null"],"description":"Of those at the last step before that must be done"},"from_before_interval":\(interval),"from_start":{"type":["number","null"]},"from_start_interval":\(interval),
    "median_seconds":{"type":["number","null"],"description":"From the last step before that must be done, within 1 %"}}}},
    "previous":{"type":"object","required":["open","steps","changes","differences"],"description":"Where it is compared","properties":{"open":{"type":"integer"},"steps":{"type":"array","items":{"type":"object"}},"changes":{"type":"array","description":"Of the persons of each step","items":\(change)},"differences":{"type":"array","description":"Of from_start","items":\(interval)}}}}}},\(meta)}},
    "RetentionQuery":{"type":"object","additionalProperties":false,"required":["date_range","begin","return"],"properties":{\(common),
    "begin":{"$ref":"#/components/schemas/PersonEvent"},"return":{"$ref":"#/components/schemas/PersonEvent"},
    "period":{"enum":[\(quoted(PersonRequestParser.periods.map(\.rawValue)))],"default":"week","description":"The range is widened to whole ones"},\(by("a person's beginning", time: nil))}},
    "RetentionAnswer":{"type":"object","required":["results","meta","query"],"properties":{"results":{"type":"array","items":{"type":"object","required":["cohort","persons","periods"],"properties":{
    "cohort":{"type":"string","format":"date-time","description":"Of persons whose first beginning in the range is in the period that starts here"},"persons":{"type":"integer"},
    "periods":{"type":"array","description":"The cohort's own period first","items":{"type":"object","required":["returned","final","rate"],"properties":{"returned":{"type":"integer"},"final":{"type":"boolean"},"rate":{"type":["number","null"]},"rate_interval":\(interval)}}},
    "previous":{"type":"object","required":["cohort","persons","periods","change","differences"],"description":"The cohort in the same place of the period before, where it is compared","properties":{"cohort":{"type":"string","format":"date-time"},"persons":{"type":"integer"},"periods":{"type":"array","items":{"type":"object"}},"change":\(change),"differences":{"type":"array","description":"Of rates","items":\(interval)}}}}}},\(meta)}},
    "AttributionQuery":{"type":"object","additionalProperties":false,"required":["date_range"],"properties":{\(common),
    "model":{"enum":[\(quoted(PersonRequestParser.models))],"default":"last_touch","description":"position: 40 % each for the first and the last touch"},
    "half_life":\(duration),"touches":{"$ref":"#/components/schemas/PersonEvent","description":"Clicks by default"},"conversions":{"$ref":"#/components/schemas/PersonEvent","description":"Events of the kind conversion by default"},
    "look_back":\(duration),\(by("the touch", time: "the conversion", default: #","default":"content""#))}},
    "AttributionAnswer":{"type":"object","required":["results","totals","meta","query"],"properties":{
    "results":{"type":"array","items":{"type":"object","required":["dimensions","conversions","touched","revenue"],"properties":{"dimensions":{"type":"array","items":{"type":"string"}},"conversions":{"type":"number","description":"Credited, in whole millionths: all rows add up to what is attributed"},"touched":{"type":"integer","description":"Conversions that it has a part in"},"revenue":{"type":"object","additionalProperties":{"type":"number"}},"previous":{"type":"object","required":["conversions","touched","revenue","changes"],"description":"Where it is compared","properties":{"conversions":{"type":"number"},"touched":{"type":"integer"},"revenue":{"type":"object"},"changes":{"type":"object","properties":{"conversions":\(change),"touched":\(change)}}}}}}},
    "totals":{"type":"object","required":["conversions","attributed","attributed_revenue","unattributed","unattributed_revenue","unattributed_share"],"properties":{"conversions":{"type":"integer"},"attributed":{"type":"integer"},"attributed_revenue":{"type":"object"},"unattributed":{"type":"integer"},"unattributed_revenue":{"type":"object"},"unattributed_share":{"type":["number","null"]},"unattributed_share_interval":\(interval),"previous":{"type":"object","description":"The same of the period before, where it is compared"}}},\(meta)}},
    "SessionQuery":{"type":"object","additionalProperties":false,"required":["date_range"],"properties":{\(common),\(by("a session's first event", time: "the first event"))}},
    "SessionAnswer":{"type":"object","required":["results","meta","query"],"properties":{"results":{"type":"array","items":{"type":"object","required":["sessions","open","bounces","bounce_rate","events_per_session","session_duration"],"properties":{
    "sessions":{"type":"integer","description":"That began in the range"},"open":{"type":"integer","description":"Of these, those that may still go on; they have no length yet"},"bounces":{"type":"integer","description":"Of these, those of a single event"},"bounce_rate":{"type":["number","null"]},"bounce_rate_interval":\(interval),
    "events_per_session":{"type":["number","null"]},"session_duration":{"type":["number","null"],"description":"Seconds per session, as in Query"},
    \(Sessions.Counts.percents.map { "\"duration_p\($0)\":{\"type\":[\"number\",\"null\"],\"description\":\"Of those that are over, within 1 %\"}" }.joined(separator: ",")),
    "previous":{"type":"object","description":"Where it is compared: the same, with changes and the interval of the difference of rates"}}}},\(meta)}}
    """
}
