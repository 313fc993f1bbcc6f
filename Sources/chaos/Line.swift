/// One way through the proxy: from one process to one store.
struct Line: Hashable, Sendable {
  enum Store: String, CaseIterable, Sendable {
    case nats, redis, postgres
  }

  /// Name of the process, such as `process-2`.
  var node: String
  var store: Store

  /// What happens to the bytes of a line.
  enum Mode: Hashable, Sendable {
    case open
    /// Each piece arrives so many milliseconds later.
    case slow(ms: Int)
    /// Nothing arrives, in either direction, on old connections and new ones.
    case silent
    /// Connections are reset as soon as they are made.
    case refused
  }
}
