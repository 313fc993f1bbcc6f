public import Views

/// A webhook with everything that its messages need.
public struct WebhookTarget: Sendable {
  /// What it is called in metrics, log lines and the ledger.
  public var name: String
  public var url: String
  public var signer: WebhookSigner
  /// Incidents below it are not told.
  public var severity: IncidentRow.Severity
  /// Empty: those of all sites.
  public var sites: [String]
  /// Whether it may be in a private network or on this machine.
  public var allowsPrivate: Bool
  /// Of a whole exchange.
  public var timeoutMs = 15_000

  public init(
    name: String, url: String, signer: WebhookSigner, severity: IncidentRow.Severity,
    sites: [String] = [], allowsPrivate: Bool = false
  ) {
    self.name = name
    self.url = url
    self.signer = signer
    self.severity = severity
    self.sites = sites
    self.allowsPrivate = allowsPrivate
  }
}
