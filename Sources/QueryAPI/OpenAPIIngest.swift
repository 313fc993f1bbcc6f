/// The part of ``OpenAPIDocument`` about the ways in. The protocols are not this module's, so their
/// addresses stand here once more; a test holds them against the collector's catalog.
enum OpenAPIIngest {
  private struct Address {
    var path: String
    var methods = ["post"]
    var summary: String
    /// Fields of the query, JSON objects with commas.
    var fields = ""
    var body = "\"application/json\":{\"schema\":{\"type\":\"object\"}}"
    var answer = "\"application/json\":{\"schema\":{\"type\":\"object\"}}"
    /// Of the description of a stored request's answer.
    var status = "200"
    /// What says of answers that are others.
    var others = ""
  }

  private static func field(_ name: String, _ description: String, isRequired: Bool = false)
    -> String
  {
    let required = isRequired ? "\"required\":true," : ""
    return "{\"name\":\"\(name)\",\"in\":\"query\",\(required)"
      + "\"description\":\"\(description)\",\"schema\":{\"type\":\"string\"}}"
  }

  private static let segmentCalls = [
    "batch", "b", "import", "track", "t", "page", "p", "screen", "s", "identify", "i", "group", "g",
    "alias", "a",
  ]

  private static let postHogPaths = [
    "/batch", "/e", "/i/v0/e", "/capture", "/track", "/engage", "/i/v0/ai/batch",
  ]

  /// Clients differ in whether they end a path with a slash; both are served.
  private static func withSlash(_ paths: [String]) -> [String] {
    paths.flatMap { [$0, $0 + "/"] }
  }

  private static let segment = withSlash(
    segmentCalls.map { "/v1/" + $0 } + ["/beacon/v1/batch"]
  ).map {
    Address(
      path: $0,
      summary:
        "Segment HTTP API; a batch at most 5 MB, an event at most 32 KB, gzip allowed. Refused events"
        + " of a batch are named in the answer",
      fields: field("writeKey", "Write key, where neither the body nor Authorization has it"))
  }

  private static let postHog =
    withSlash(postHogPaths).map {
      Address(
        path: $0, methods: ["post", "get"],
        summary: "PostHog capture API v0: JSON, a form or base64, gzip allowed",
        fields: field("data", "The events, where there is no body") + ","
          + field("api_key", "Write key, where the events do not name it"),
        body: "\"application/json\":{},\"text/plain\":{},"
          + "\"application/x-www-form-urlencoded\":{}")
    }
    + withSlash(["/i/v1/analytics/events"]).map {
      Address(
        path: $0, summary: "PostHog capture API v1: results event by event",
        fields: field("api_key", "Write key, where there is no Bearer key"))
    }

  private static let ga4 = [
    Address(
      path: "/mp/collect", summary: "Google Analytics 4 Measurement Protocol; at most 25 events",
      fields: field("measurement_id", "Write key"), answer: ""),
    Address(
      path: "/debug/mp/collect",
      summary: "The same without storing anything: validationMessages say what is wrong",
      fields: field("measurement_id", "Write key")),
  ]

  private static let gif = "\"image/gif\":{}"

  private static let segmentPixels =
    (["identify", "track", "page", "screen", "group", "alias"].map { "/v1/pixel/" + $0 }
    + ["/pixel/v1/track", "/pixel/v1/page"]).map {
      Address(
        path: $0, methods: ["get"],
        summary:
          "A Segment call as an image; members of the call may be fields, as properties.subject",
        fields: field("data", "The call as JSON in base 64") + ","
          + field("writeKey", "Write key, where data does not name it"), answer: gif)
    }

  private static let snowplow = [
    Address(
      path: "/com.snowplowanalytics.snowplow/tp2", methods: ["post", "get"],
      summary: "Snowplow tracker protocol; the write key is aid of the events, or k",
      fields: field("aid", "Write key"), answer: "\"text/plain\":{},\(gif)"),
    Address(
      path: "/i", methods: ["post", "get"], summary: "Snowplow pixel",
      fields: field("aid", "Write key"), answer: "\"text/plain\":{},\(gif)"),
    Address(
      path: "/ice.png", methods: ["get"], summary: "Snowplow pixel",
      fields: field("aid", "Write key"), answer: gif),
    Address(
      path: "/r/tp2", methods: ["get"], summary: "Snowplow link: counts a click and leads on",
      fields: field(
        "u", "Where it leads: a host that is listed, or a signed address", isRequired: true)
        + "," + field("aid", "Write key"), answer: "", status: "302"),
  ]

  private static let matomo = ["/matomo.php", "/piwik.php"].map { path in
    Address(
      path: path, methods: ["post", "get"],
      summary: "Matomo tracking API: one event as query or form, many as JSON",
      fields: field("idsite", "Write key") + "," + field("rec", "1"),
      body: "\"application/json\":{},\"application/x-www-form-urlencoded\":{}",
      answer: "\(gif),\"application/json\":{}",
      others: "\"204\":{\"description\":\"The same, with send_image=0\"},")
  }

  private static let cloudEvents = ["/v1/cloudevents", "/ce"].map { path in
    Address(
      path: path, summary: "CloudEvents 1.0 over HTTP: structured, batch or binary",
      fields: field("k", "Write key"),
      body: "\"application/cloudevents+json\":{},\"application/cloudevents-batch+json\":{},"
        + "\"application/json\":{}")
  }

  private static let beaconBody: String = {
    let scalar = "{\"type\":[\"string\",\"number\",\"null\"]}"
    let names = [
      "t", "n", "cid", "cnt", "var", "ch", "uid", "aid", "pid", "eid", "ts", "v", "cur", "url",
    ]
    let fields = names.map { "\"\($0)\":\(scalar)" }.joined(separator: ",")
    let event =
      "{\"type\":\"object\",\"description\":\"Fields of the pixel; others are kept\",\"properties\":{\(fields)}}"
    let events = "{\"type\":\"array\",\"maxItems\":1000,\"items\":\(event)}"
    let envelope =
      "{\"type\":\"object\",\"required\":[\"e\"],\"properties\":{\"k\":{\"type\":\"string\",\"description\":\"Write key\"},"
      + "\"s\":{\"description\":\"The client's clock as it sends, in milliseconds since 1970\",\"type\":[\"integer\",\"string\"]},\"e\":\(events)}}"
    let schema = "{\"schema\":{\"anyOf\":[\(envelope),\(events),\(event)]}}"
    return "\"text/plain\":\(schema),\"application/json\":\(schema)"
  }()

  private static let own = [
    Address(
      path: "/v1/e",
      summary:
        "The pixel's fields as JSON: an event, an array of them, or both key and events in an object",
      fields: field("k", "Write key"), body: beaconBody),
    Address(
      path: "/r/c", methods: ["get"], summary: "Click link: counts a click and leads on",
      fields: field(
        "u", "Where it leads: a host that is listed, or a signed address", isRequired: true)
        + "," + field("k", "Write key") + "," + field("s", "The signature of u and k"), answer: "",
      status: "302"),
  ]

  /// All but the pixel, which has a description of its own.
  static let paths =
    (segment + segmentPixels + postHog + ga4 + snowplow + matomo + cloudEvents + own).map(path)
    .joined(separator: ",\n")

  private static func path(_ address: Address) -> String {
    let operations = address.methods.map { method in
      let words = address.path.split { !$0.isLetter && !$0.isNumber }.joined(separator: "_")
      let slash = address.path.hasSuffix("/") ? "_slash" : ""
      let body =
        method == "post"
        ? "\"requestBody\":{\"required\":true,\"content\":{\(address.body)}}," : ""
      let content = address.answer.isEmpty ? "" : ",\"content\":{\(address.answer)}"
      return """
        "\(method)":{"tags":["ingest"],"operationId":"\(method)_\(words)\(slash)","summary":"\(address.summary)","security":[{"writeKey":[]},{}],"parameters":[\(address.fields)],\(body)"responses":{"\(address.status)":{"description":"The events are durable","headers":{"SmartContent-Position":{"description":"Position of the events, for `after`","schema":{"type":"string"}},"SmartContent-Spooled":{"description":"Instead of the position while the events are durable in the collector's spool alone: `true`","schema":{"type":"string"}}}\(content)},\(address.others)\(OpenAPIDocument.ingestErrors)}}
        """
    }
    return "\"\(address.path)\":{\(operations.joined(separator: ","))}"
  }

  // MARK: Before events

  private static let keyInPath =
    "{\"name\":\"key\",\"in\":\"path\",\"required\":true,\"description\":\"Write key\",\"schema\":{\"type\":\"string\"}}"

  private static let settingsErrors = """
    "400":{"$ref":"#/components/responses/Problem"},"404":{"$ref":"#/components/responses/Problem"}
    """

  private static func settings(
    _ path: String, _ name: String, _ summary: String, type: String = "application/json"
  ) -> String {
    """
    "\(path)":{"get":{"tags":["ingest"],"operationId":"\(name)","summary":"\(summary)","parameters":[\(keyInPath)],"responses":{"200":{"description":"The same for everybody with a key","content":{"\(type)":{}}},\(settingsErrors)}}}
    """
  }

  private static func sourceConfig(_ path: String, _ name: String) -> String {
    """
    "\(path)":{"get":{"tags":["ingest"],"operationId":"\(name)","summary":"What RudderStack's SDKs of browsers and apps ask before they send","security":[{"writeKey":[]},{}],"parameters":[\(field("writeKey", "Write key, where Authorization does not name it"))],"responses":{"200":{"description":"A source without destinations","content":{"application/json":{"schema":{"type":"object","required":["source"],"properties":{"source":{"type":"object"}}}}}},"401":{"$ref":"#/components/responses/Problem"}}}}
    """
  }

  /// What SDKs ask before they send, and what load balancers ask as Snowplow's collector answers.
  static let settingsPaths = [
    settings(
      "/v1/projects/{key}/settings", "segmentSettings",
      "What Segment's SDKs of browsers and apps ask before they send"),
    settings("/array/{key}/config", "postHogConfig", "What posthog-js asks before it sends"),
    settings(
      "/array/{key}/config.js", "postHogConfigScript", "The same as a script",
      type: "application/javascript"),
    sourceConfig("/sourceConfig", "sourceConfig"),
    sourceConfig("/sourceConfig/", "sourceConfig_slash"),
    """
    "/health":{"get":{"tags":["operations"],"operationId":"health","summary":"Whether the collector answers, as Snowplow's says it","responses":{"200":{"description":"ok","content":{"text/plain":{}}}}}}
    """,
    """
    "/sink-health":{"get":{"tags":["operations"],"operationId":"sinkHealth","summary":"Whether events can be kept now","responses":{"200":{"description":"ok","content":{"text/plain":{}}},"503":{"$ref":"#/components/responses/Unavailable"}}}}
    """,
  ].joined(separator: ",\n")

  // MARK: Explaining

  private static let debugErrors = """
    "400":{"$ref":"#/components/responses/Problem"},"401":{"$ref":"#/components/responses/Problem"}
    """

  private static let debugFields = """
    {"name":"key","in":"query","description":"Only of this write key: its id, or the key itself","schema":{"type":"string"}},
    {"name":"outcome","in":"query","schema":{"type":"string","enum":["accepted","rejected","dropped","refused"]}},
    {"name":"after","in":"query","description":"Only what came after this number","schema":{"type":"integer","minimum":0}},
    {"name":"limit","in":"query","description":"At most so many, the newest of them","schema":{"type":"integer","minimum":1,"maximum":500,"default":100}}
    """

  static let debugPaths = """
    "/v1/validate":{"post":{"tags":["debug"],"operationId":"validate","summary":"What would become of each event of a request, without storing it","security":[{"writeKey":[]},{}],"parameters":[
    {"name":"path","in":"query","description":"The ingest endpoint's path; it may have the endpoint's query, percent-encoded","schema":{"type":"string","examples":["/v1/batch"]}},
    {"name":"SmartContent-Path","in":"header","description":"The path where the query does not say it","schema":{"type":"string"}}],
    "requestBody":{"required":false,"description":"As the endpoint takes it","content":{"application/json":{},"text/plain":{},"application/x-www-form-urlencoded":{}}},
    "responses":{"200":{"description":"What would happen","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Validation"}}}},"403":{"$ref":"#/components/responses/Problem"},"429":{"$ref":"#/components/responses/Unavailable"},\(debugErrors)}}},
    "/v1/debug/events":{"get":{"tags":["debug"],"operationId":"debugEvents","summary":"What became of the last events; they are kept while somebody asks at least every 30 seconds","security":[{"token":[]},{}],"parameters":[\(debugFields)],"responses":{"200":{"description":"The oldest first","content":{"application/json":{"schema":{"type":"object","required":["events","last","skipped"],"properties":{"events":{"type":"array","items":{"$ref":"#/components/schemas/DebugEvent"}},"last":{"type":"integer","description":"What to ask `after` next"},"skipped":{"type":"integer","description":"How many came too fast to be kept"}}}}}},\(debugErrors)}}},
    "/v1/debug/stream":{"get":{"tags":["debug"],"operationId":"debugStream","summary":"The same as server-sent events `event` and `skipped`, as it happens","security":[{"token":[]},{}],"parameters":[\(debugFields),{"name":"Last-Event-ID","in":"header","description":"As after","schema":{"type":"string"}}],"responses":{"200":{"description":"Events until the client closes","content":{"text/event-stream":{"schema":{"type":"string"}}}},\(debugErrors),"503":{"$ref":"#/components/responses/Unavailable"}}}}
    """

  static let schemas = """
    "Event":{"type":"object","description":"An event as it is in the log","required":["id","kind","name","time","received_at","person","source","dimensions"],"properties":{"id":{"type":"string"},"kind":{"type":"string"},"name":{"type":"string"},"time":{"type":"string","format":"date-time"},"received_at":{"type":"string","format":"date-time"},"sent_at":{"type":"string","format":"date-time"},"person":{"type":"string"},"user":{"type":"string"},"source":{"type":"string"},"dimensions":{"type":"object","additionalProperties":{"type":"string"}},"revenue_micros":{"type":"integer"},"agent":{"type":"string","description":"What is kept of the user agent"},"bot":{"$ref":"#/components/schemas/BotVerdict"},"notes":{"type":"array","description":"What to know of how it was read, such as that no line of the mapping names it","items":{"type":"string"}},"payload":{"type":"object"}}},
    "BotVerdict":{"type":"object","description":"Who probably sent it","required":["is_bot","rules_version","reasons"],"properties":{"is_bot":{"type":"boolean","description":"Whether it counts as a bot's"},"rules_version":{"type":"integer"},"reasons":{"type":"array","description":"What speaks for a bot; rules say which of them suffice","items":{"type":"string"}}}},
    "Validation":{"type":"object","required":["path","method","protocol","key","accepted","rejected","dropped","events"],"properties":{"path":{"type":"string"},"method":{"type":"string"},"protocol":{"type":"string"},"key":{"type":"string","description":"Id of the write key"},"would_answer":{"type":"integer","description":"Status of the answer once everything is durable"},"accepted":{"type":"integer"},"rejected":{"type":"integer"},"dropped":{"type":"integer"},"events":{"type":"array","description":"At most 100 are described","items":{"type":"object","required":["index","outcome"],"properties":{"index":{"type":"integer"},"outcome":{"enum":["accepted","rejected","dropped"]},"event":{"$ref":"#/components/schemas/Event"},"changes":{"type":"array","description":"What consent, bots, schemas and privacy would change","items":{"type":"object","required":["path","change"],"properties":{"path":{"type":"string"},"change":{"enum":["changed","removed","added","encrypted"]}}}},"code":{"type":"string"},"place":{"type":"string"},"path":{"type":"string","description":"Where in the event"},"expected":{"type":"string"},"fix":{"type":"string"},"reason":{"type":"string"}}}}}},
    "DebugEvent":{"type":"object","required":["number","time","outcome","protocol","key"],"properties":{"number":{"type":"integer"},"time":{"type":"string","format":"date-time"},"outcome":{"enum":["accepted","rejected","dropped","refused"]},"protocol":{"type":"string"},"path":{"type":"string"},"key":{"type":"string"},"index":{"type":"integer"},"code":{"type":"string"},"detail":{"type":"string"},"bytes":{"type":"integer"},"event":{"$ref":"#/components/schemas/Event"}}}
    """
}
