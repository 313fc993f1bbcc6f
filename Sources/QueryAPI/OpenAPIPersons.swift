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
  ].joined(separator: ",\n")

  private static func quoted(_ names: [String]) -> String {
    names.map { "\"\($0)\"" }.joined(separator: ",")
  }

  private static let dimensions = quoted(PersonRequest.dimensions.map(\.name))

  private static let common = """
    "site_id":{"type":"string","default":"default"},"pipeline":{"type":"string","description":"By whose rules events count and persons are followed"},
    "date_range":{"description":"As in Query, with edges anywhere"},"timezone":{"type":"string","default":"UTC"},
    "traffic":{"enum":["people","bots","all"],"default":"people"},"filters":{"type":"array","description":"As in Query, of every event that is asked for","items":{"type":"array"}},
    "limit":{"type":"integer","minimum":1,"maximum":\(QueryRequest.limitMax),"default":\(QueryRequest.limitDefault)},
    "format":{"enum":["json","csv"],"description":"In place of the header Accept"},
    "as_known_at":{"type":"string","format":"date-time","description":"Leave out what was stored later"}
    """

  private static let event = """
    "kind":{"type":"string","enum":[\(quoted(PersonRequestParser.kindNames))]},"kinds":{"type":"array","description":"Any of these","items":{"type":"string","enum":[\(quoted(PersonRequestParser.kindNames))]}},"event":{"type":"string","description":"Its name as the client sent it"},"filters":{"type":"array","description":"As in Query","items":{"type":"array"}}
    """

  private static let duration = """
    {"type":"string","pattern":"^[0-9]+[smhd]$","examples":["30m","12h","7d"]}
    """

  private static let interval = """
    {"type":["array","null"],"description":"The ends of the 95 % credible interval","minItems":2,"maxItems":2,"items":{"type":"number"}}
    """

  private static let meta = """
    "meta":{"type":"object","required":["position","watermark","final","scanned","events_read","persons","left_out"],"description":"As in ScanAnswer; persons are those with an event that is asked for, left_out those with more than \(PersonQuestion.personTouchesMax) such events, of whom nothing counts"},"query":{"type":"object"}
    """

  static let schemas = """
    "PersonEvent":{"type":"object","description":"Which events are meant: of a kind, of a name, or both","additionalProperties":false,"properties":{\(event)}},
    "FunnelQuery":{"type":"object","additionalProperties":false,"required":["date_range","steps","within"],"properties":{\(common),
    "steps":{"type":"array","minItems":\(Funnel.Question.stepCounts.lowerBound),"maxItems":\(Funnel.Question.stepCounts.upperBound),"items":{"type":"object","additionalProperties":false,"properties":{\(event),"name":{"type":"string","description":"In the answer"},"optional":{"type":"boolean","default":false,"description":"May be left out; the first and the last step may not"}}}},
    "within":\(duration),"by":{"type":"string","description":"Told apart by this dimension of the first step","enum":[\(dimensions)]}}},
    "FunnelAnswer":{"type":"object","required":["results","meta","query"],"properties":{"results":{"type":"array","items":{"type":"object","required":["open","steps"],"properties":{
    "open":{"type":"integer","description":"Persons who are not through and may still go further"},
    "steps":{"type":"array","items":{"type":"object","required":["name","optional","persons","from_before","from_start","median_seconds"],"properties":{"name":{"type":"string"},"optional":{"type":"boolean"},"persons":{"type":"integer"},
    "from_before":{"type":["number","null"],"description":"Of those at the last step before that must be done"},"from_before_interval":\(interval),"from_start":{"type":["number","null"]},"from_start_interval":\(interval),
    "median_seconds":{"type":["number","null"],"description":"From the last step before that must be done, within 1 %"}}}}}}},\(meta)}},
    "RetentionQuery":{"type":"object","additionalProperties":false,"required":["date_range","begin","return"],"properties":{\(common),
    "begin":{"$ref":"#/components/schemas/PersonEvent"},"return":{"$ref":"#/components/schemas/PersonEvent"},
    "period":{"enum":[\(quoted(PersonRequestParser.periods.map(\.rawValue)))],"default":"week","description":"The range is widened to whole ones"}}},
    "RetentionAnswer":{"type":"object","required":["results","meta","query"],"properties":{"results":{"type":"array","items":{"type":"object","required":["cohort","persons","periods"],"properties":{
    "cohort":{"type":"string","format":"date-time","description":"Of persons whose first beginning in the range is in the period that starts here"},"persons":{"type":"integer"},
    "periods":{"type":"array","description":"The cohort's own period first","items":{"type":"object","required":["returned","final","rate"],"properties":{"returned":{"type":"integer"},"final":{"type":"boolean"},"rate":{"type":["number","null"]},"rate_interval":\(interval)}}}}}},\(meta)}},
    "AttributionQuery":{"type":"object","additionalProperties":false,"required":["date_range"],"properties":{\(common),
    "model":{"enum":[\(quoted(PersonRequestParser.models))],"default":"last_touch","description":"position: 40 % each for the first and the last touch"},
    "half_life":\(duration),"touches":{"$ref":"#/components/schemas/PersonEvent","description":"Clicks by default"},"conversions":{"$ref":"#/components/schemas/PersonEvent","description":"Events of the kind conversion by default"},
    "look_back":\(duration),"by":{"type":"string","enum":[\(dimensions)],"default":"content"}}},
    "AttributionAnswer":{"type":"object","required":["results","totals","meta","query"],"properties":{
    "results":{"type":"array","items":{"type":"object","required":["dimensions","conversions","touched","revenue"],"properties":{"dimensions":{"type":"array","items":{"type":"string"}},"conversions":{"type":"number","description":"Credited, in whole millionths: all rows add up to what is attributed"},"touched":{"type":"integer","description":"Conversions that it has a part in"},"revenue":{"type":"object","additionalProperties":{"type":"number"}}}}},
    "totals":{"type":"object","required":["conversions","attributed","attributed_revenue","unattributed","unattributed_revenue","unattributed_share"],"properties":{"conversions":{"type":"integer"},"attributed":{"type":"integer"},"attributed_revenue":{"type":"object"},"unattributed":{"type":"integer"},"unattributed_revenue":{"type":"object"},"unattributed_share":{"type":["number","null"]},"unattributed_share_interval":\(interval)}},\(meta)}}
    """
}
