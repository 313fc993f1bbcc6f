public import Views

/// Which incidents a receiver is told: when one opens, changes its severity, gets feedback and closes.
public struct ReceiverTerms: Hashable, Sendable {
  public var name: String
  /// Where it is; one that answered that it is gone is told again once this is another.
  public var target: String
  /// Incidents below it are not told; of one that was told, the end is told in any case.
  public var severity: IncidentRow.Severity
  /// Empty: those of all sites.
  public var sites: [String]
  /// Whether it is told of members of groups too, and of what was over before it was first known.
  public var isToldEverything: Bool

  public init(
    name: String, target: String, severity: IncidentRow.Severity, sites: [String] = [],
    isToldEverything: Bool = false
  ) {
    self.name = name
    self.target = target
    self.severity = severity
    self.sites = sites
    self.isToldEverything = isToldEverything
  }

  public static func everything(name: String) -> ReceiverTerms {
    ReceiverTerms(name: name, target: name, severity: .info, isToldEverything: true)
  }
}

/// An incident of which a receiver does not know everything that it wants to.
public struct IncidentNotice: Hashable, Sendable {
  /// What the receiver was told last of the incident.
  public struct Told: Hashable, Sendable {
    public var isOpen: Bool
    /// Of its fact, for the log of facts; else 0.
    public var sequence: UInt64

    public init(isOpen: Bool, sequence: UInt64) {
      self.isOpen = isOpen
      self.sequence = sequence
    }
  }

  public enum Event: String, Hashable, Sendable {
    case opened = "incident.opened"
    case updated = "incident.updated"
    case closed = "incident.closed"
  }

  public var row: IncidentRow
  /// Whether the incident goes on, for the receiver: one that another one has taken into its group does not.
  public var isOpen: Bool
  public var told: Told?

  public init(row: IncidentRow, isOpen: Bool, told: Told?) {
    self.row = row
    self.isOpen = isOpen
    self.told = told
  }
}

/// Who has taken a receiver.
public enum ReceiverState: Hashable, Sendable {
  case taken
  /// Another process tells it.
  case elsewhere
  /// It has ended by itself.
  case ended
}

/// What one receiver was told of incidents, kept durably. Confined to one thread.
///
/// A receiver owes nothing to how the ledger is filled: what is owed is the difference between the rows of
/// incidents and the notes, so a queue of its own is not needed, and at most one notice is owed per incident.
public protocol IncidentLedger: AnyObject {
  /// Takes the receiver for this ledger's life, unless somebody else has it. To be called before each look at
  /// what is owed: it may have been lost.
  func take() throws(ViewStoreError) -> ReceiverState

  /// The oldest first.
  func owed(limit: Int) throws(ViewStoreError) -> [IncidentNotice]

  /// Durable on return.
  func note(_ notice: IncidentNotice, sequence: UInt64) throws(ViewStoreError)

  /// The receiver wants nothing any more.
  func end() throws(ViewStoreError)
}
