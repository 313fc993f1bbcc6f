import Views
import Events

// A declaration as text, so that a version can be run when `Streams/pipelines.yaml` has moved on.
extension PipelineSpec {
  /// The declaration as a JSON object; durations in microseconds. ``init(declaration:)`` reads it.
  public var declaration: String {
    var json = JSONWriter()
    json.beginObject()
    json.key("name")
    json.string(name)
    func field(_ key: String, _ value: Int64?) {
      guard let value else { return }
      json.key(key)
      json.integer(value)
    }
    field("version", Int64(version))
    field("allowed_disorder", allowedDisorder)
    field("allowed_lateness", allowedLateness)
    field("dedupe_horizon", dedupeHorizon)
    field("window_grace", windowGrace)
    field("tuple_count_max", Int64(tupleCountMax))
    field("dedupe_count_max", Int64(dedupeCountMax))
    if let persons {
      json.key("persons")
      json.beginObject()
      field("session_gap", persons.sessionGap)
      field("click_look_back", persons.clickLookBack)
      field("impression_look_back", persons.impressionLookBack)
      field("lateness", persons.lateness)
      field("person_count_max", Int64(persons.personCountMax))
      json.endObject()
    }
    if let experiments = persons?.experiments {
      json.key("experiments")
      json.beginObject()
      field("outcome_window", experiments.outcomeWindow)
      field("look_back", experiments.lookBack)
      field("memory", experiments.memory)
      json.endObject()
    }
    if let trends {
      json.key("trends")
      json.beginObject()
      field("size", trends.size)
      field("slide", trends.slide)
      field("retention", trends.retention)
      json.endObject()
    }
    if let anomalies {
      json.key("anomalies")
      json.beginObject()
      field("bin", anomalies.bin)
      json.key("campaigns")
      json.bool(anomalies.watchesCampaigns)
      json.key("contents")
      json.bool(anomalies.watchesContents)
      field("keys_max", Int64(anomalies.keyCountMax))
      json.key("threshold")
      json.double(anomalies.threshold)
      json.endObject()
    }
    if let bots {
      json.key("bots")
      bots.write(to: &json)
    }
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }

  /// - Returns: nil where the text is no declaration that this program knows.
  public init?(declaration: String) {
    let bytes = Array(declaration.utf8)
    let spec: PipelineSpec? = bytes.withUnsafeBytes { bytes in
      do throws(JSONError) {
        var json = JSONScanner(bytes)
        let spec = try Self.read(&json)
        try json.end()
        return spec
      } catch {
        return nil
      }
    }
    guard let spec else { return nil }
    self = spec
  }

  private static func read(_ json: inout JSONScanner) throws(JSONError) -> PipelineSpec? {
    var spec = PipelineSpec(name: "", allowedLateness: nil)
    var experiments: ExperimentPolicy?
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "name": spec.name = try json.string()
      case "version": spec.version = Int(try json.int64())
      case "allowed_disorder": spec.allowedDisorder = try json.int64()
      case "allowed_lateness": spec.allowedLateness = try json.int64()
      case "dedupe_horizon": spec.dedupeHorizon = try json.int64()
      case "window_grace": spec.windowGrace = try json.int64()
      case "tuple_count_max": spec.tupleCountMax = Int(try json.int64())
      case "dedupe_count_max": spec.dedupeCountMax = Int(try json.int64())
      case "persons":
        guard let persons = try readPersons(&json) else { return nil }
        spec.persons = persons
      case "experiments":
        guard let policy = try readExperiments(&json) else { return nil }
        experiments = policy
      case "trends":
        guard let trends = try readTrends(&json) else { return nil }
        spec.trends = trends
      case "anomalies":
        guard let anomalies = try readAnomalies(&json) else { return nil }
        spec.anomalies = anomalies
      case "bots":
        guard let bots = try BotRules.read(&json) else { return nil }
        spec.bots = bots
      default: return nil
      }
    }
    // Persons whose touches expose them are persons who are followed.
    if experiments != nil && spec.persons == nil { return nil }
    spec.persons?.experiments = experiments
    return spec.name.isEmpty ? nil : spec
  }

  private static func readExperiments(
    _ json: inout JSONScanner
  ) throws(JSONError) -> ExperimentPolicy? {
    var policy = ExperimentPolicy()
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "outcome_window": policy.outcomeWindow = try json.int64()
      case "look_back": policy.lookBack = try json.int64()
      case "memory": policy.memory = try json.int64()
      default: return nil
      }
    }
    return policy
  }

  private static func readPersons(
    _ json: inout JSONScanner
  ) throws(JSONError) -> PersonPolicy? {
    var policy = PersonPolicy()
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "session_gap": policy.sessionGap = try json.int64()
      case "click_look_back": policy.clickLookBack = try json.int64()
      case "impression_look_back": policy.impressionLookBack = try json.int64()
      case "lateness": policy.lateness = try json.int64()
      case "person_count_max": policy.personCountMax = Int(try json.int64())
      default: return nil
      }
    }
    return policy
  }

  private static func readTrends(_ json: inout JSONScanner) throws(JSONError) -> TrendPolicy? {
    var policy = TrendPolicy()
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "size": policy.size = try json.int64()
      case "slide": policy.slide = try json.int64()
      case "retention": policy.retention = try json.int64()
      default: return nil
      }
    }
    return policy
  }

  private static func readAnomalies(
    _ json: inout JSONScanner
  ) throws(JSONError) -> IncidentPolicy? {
    var policy = IncidentPolicy()
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "bin": policy.bin = try json.int64()
      case "campaigns": policy.watchesCampaigns = try json.bool()
      case "contents": policy.watchesContents = try json.bool()
      case "keys_max": policy.keyCountMax = Int(try json.int64())
      case "threshold": policy.threshold = try json.double()
      default: return nil
      }
    }
    return policy
  }
}
