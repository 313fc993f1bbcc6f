public import Views

/// Which incidents are wanted.
public struct IncidentQuestion: Hashable, Sendable {
  /// Where to go on, in the order of answers: begin and id of the last row that is known.
  public struct Place: Hashable, Sendable {
    public var begin: Int64
    public var id: Int64

    public init(begin: Int64, id: Int64) {
      self.begin = begin
      self.id = id
    }
  }

  /// Nil, here and below: any.
  public var site: String?
  public var campaign: String?
  public var content: String?
  public var isOpen: Bool?
  /// Those that go on, or ended at or after it; microseconds since the epoch.
  public var since: Int64?
  /// At least.
  public var severity: IncidentRow.Severity
  public var id: Int64?
  /// Members of this group.
  public var group: Int64?
  public var before: Place?
  public var limit: Int

  public init(
    site: String? = nil, campaign: String? = nil, content: String? = nil, isOpen: Bool? = nil,
    since: Int64? = nil,
    severity: IncidentRow.Severity = .info, id: Int64? = nil, group: Int64? = nil,
    before: Place? = nil, limit: Int
  ) {
    self.site = site
    self.campaign = campaign
    self.content = content
    self.isOpen = isOpen
    self.since = since
    self.severity = severity
    self.id = id
    self.group = group
    self.before = before
    self.limit = limit
  }
}

/// Reads incidents. Safe to use from any task; each call takes a connection of a bounded pool.
public protocol IncidentReader: Sendable {
  /// The newest first: by begin, then id.
  func incidents(_ question: IncidentQuestion) async throws(ViewReadError) -> [IncidentRow]

  /// How many there are of each severity, open or not.
  func incidentCounts() async throws(ViewReadError) -> [IncidentRow.Severity: Int64]
}
