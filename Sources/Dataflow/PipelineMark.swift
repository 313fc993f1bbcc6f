public import Views

/// What tells one past of a stream from another: where it was read to, what the last frame was, and what
/// all of them came to.
public struct PipelineMark: Hashable, Sendable {
  public var sequence: UInt64
  public var fingerprint: Checkpoint.Fingerprint
  public var accounting: Accounting

  public init(sequence: UInt64, fingerprint: Checkpoint.Fingerprint, accounting: Accounting) {
    self.sequence = sequence
    self.fingerprint = fingerprint
    self.accounting = accounting
  }
}
