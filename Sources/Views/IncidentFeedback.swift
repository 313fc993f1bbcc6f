import Events

/// What a person says about an incident: an event of kind ``EventKind/feedback`` in the log, whose payload
/// this is, and whose site is the incident's.
public struct IncidentFeedback: Hashable, Sendable {
  /// The raw value is stored and for ever.
  public enum Verdict: UInt8, CaseIterable, Sendable {
    /// It has a known cause: it is closed, and silent until it is over.
    case expected = 1
    /// Nothing happened: as ``expected``, and from now on it takes more evidence.
    case notAnAnomaly = 2

    public var name: String {
      switch self {
      case .expected: "expected"
      case .notAnAnomaly: "not_an_anomaly"
      }
    }

    public init?(name: some StringProtocol) {
      guard let verdict = Self.allCases.first(where: { $0.name == name }) else { return nil }
      self = verdict
    }
  }

  /// ``IncidentRow/id``.
  public var incident: Int64
  public var verdict: Verdict

  public init(incident: Int64, verdict: Verdict) {
    self.incident = incident
    self.verdict = verdict
  }

  /// Name of the event.
  public static let eventName = "incident_feedback"

  /// As the payload of the event: `{"incident":"812…","verdict":"expected","note":"…"}`. The id is a text,
  /// because it is larger than what numbers of JavaScript hold.
  public func payload(note: String = "") -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("incident")
    json.string("\(incident)")
    json.key("verdict")
    json.string(verdict.name)
    if !note.isEmpty {
      json.key("note")
      json.string(note)
    }
    json.endObject()
    return json.bytes
  }

  /// - Returns: nil where the bytes are no such payload.
  public init?(payload bytes: UnsafeRawBufferPointer) {
    do throws(JSONError) {
      guard let read = try Self.read(bytes) else { return nil }
      self = read
    } catch {
      return nil
    }
  }

  private static func read(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> IncidentFeedback? {
    var json = JSONScanner(bytes)
    var incident: Int64?
    var verdict: Verdict?
    try json.beginObject()
    while let key = try json.nextKey() {
      switch key {
      case "incident": incident = Int64(try json.string())
      case "verdict": verdict = Verdict(name: try json.string())
      default: _ = try json.skipValue()
      }
    }
    try json.end()
    guard let incident, incident > 0, let verdict else { return nil }
    return IncidentFeedback(incident: incident, verdict: verdict)
  }
}
