public import Events

/// One difference between the declared streams and those of a server.
public struct StreamChange: Hashable, Sendable, CustomStringConvertible {
  public enum Action: String, Hashable, Sendable {
    case create
    case update
    /// The server cannot change it in place: delete with all its events, then create.
    case recreate
    /// On the server, no longer declared: applying leaves it alone.
    case abandon
  }

  public var stream: String
  public var action: Action
  /// What would be different, one line each, such as `max_bytes: 4GiB -> 8GiB`.
  public var differences: [String]
  /// What is lost or goes wrong by it; nil where nothing does.
  public var warning: String?
  /// What to send to the server; nil for ``Action/abandon``.
  public var config: StreamConfig?

  /// Needs `--force`.
  public var isDestructive: Bool { warning != nil }

  /// For example `update events-00: max_bytes: 4GiB -> 8GiB`.
  public var description: String {
    var text = "\(action.rawValue) \(stream)"
    if !differences.isEmpty { text += ": " + differences.joined(separator: "; ") }
    if let warning { text += "\n  DESTRUCTIVE: \(warning)" }
    return text
  }
}

/// The way from a server's streams to the declared ones.
public enum StreamPlan {
  /// Where a server's answer is not a stream configuration.
  public struct UnreadableConfig: Error, Hashable, Sendable, CustomStringConvertible {
    public var problem: JSONError
    public var description: String {
      "a stream configuration of the server cannot be read: \(problem); is it nats-server 2.10 or"
        + " newer?"
    }
  }

  /// - Parameters:
  ///   - desired: what the definitions declare.
  ///   - actual: the configurations of all streams of the server as JSON objects; streams that
  ///     are not ours may be among them.
  /// - Returns: what to do in this order; empty where the server is as declared.
  public static func changes(
    desired: StreamDefinitions, actual: [String]
  ) throws(UnreadableConfig) -> [StreamChange] {
    var existing: [String: ActualStreamConfig] = [:]
    for json in actual {
      do throws(JSONError) {
        let config = try ActualStreamConfig(json: json)
        existing[config.name] = config
      } catch {
        throw UnreadableConfig(problem: error)
      }
    }
    var changes: [StreamChange] = []
    for config in desired.all {
      if let found = existing[config.name] {
        // A closed stream stays as it is: what it would differ in is that it is closed.
        if found.config.isClosed { continue }
        if let change = difference(of: config, from: found) { changes.append(change) }
      } else {
        changes.append(
          StreamChange(stream: config.name, action: .create, differences: [], config: config))
      }
    }
    return changes + abandoned(desired, existing)
  }

  /// Streams of this generation that are not declared any more: partitions were taken away.
  private static func abandoned(
    _ desired: StreamDefinitions, _ existing: [String: ActualStreamConfig]
  ) -> [StreamChange] {
    let declared = Set(desired.all.map(\.name))
    return existing.values.filter { config in
      !declared.contains(config.name)
        && config.metadata[StreamDefinitions.generationKey] == "\(desired.generation)"
    }.sorted { $0.name < $1.name }.map { config in
      StreamChange(
        stream: config.name, action: .abandon, differences: [],
        warning: "it is a partition of generation \(desired.generation) that is no longer declared:"
          + " nobody would read its events; \(newGeneration)")
    }
  }

  private static let newGeneration =
    "leave them as they are and use `smartcontent streams repartition` instead"

  private static func difference(
    of desired: StreamConfig, from actual: ActualStreamConfig
  ) -> StreamChange? {
    var differences: [String] = []
    var warnings: [String] = []
    func compare(_ name: String, _ old: String, _ new: String) -> Bool {
      if old != new { differences.append("\(name): \(old) -> \(new)") }
      return old != new
    }
    var action = StreamChange.Action.update
    if compare("storage", actual.storage, desired.storage) {
      action = .recreate
      warnings.append("the server cannot change storage: the stream and all its events are deleted")
    }
    if compare("retention", actual.retention, desired.retention), actual.retention == "workqueue" {
      action = .recreate
      warnings.append("the server cannot change a work queue: it and all its events are deleted")
    }
    _ = compare(
      "subjects", actual.subjects.joined(separator: ","), desired.subjects.joined(separator: ","))
    _ = compare("discard", actual.discard, desired.discard)
    if compare("max_bytes", sizeText(actual.bytesMax), sizeText(desired.bytesMax)),
      actual.discard != "new", actual.bytesMax < 0 || desired.bytesMax < actual.bytesMax
    {
      // With discard `new` the server keeps what is beyond the limit and refuses more.
      warnings.append("the server drops the oldest events beyond a smaller max_bytes")
    }
    _ = compare(
      "max_message_bytes", sizeText(actual.messageBytesMax), sizeText(desired.messageBytesMax))
    _ = compare("max_age", Quantity.text(micros: actual.ageMax), Quantity.text(micros: 0))
    _ = compare("max_messages", "\(actual.messagesMax)", "-1")
    _ = compare(
      "max_messages_per_subject", "\(actual.messagesPerSubjectMax)", "-1")
    _ = compare(
      "duplicate_window", Quantity.text(micros: actual.duplicateWindow),
      Quantity.text(micros: desired.duplicateWindow))
    if compare("replicas", "\(actual.replicas)", "\(desired.replicas)"),
      desired.replicas < actual.replicas
    {
      warnings.append("fewer replicas survive fewer failures")
    }
    _ = compare("allow_direct", "\(actual.allowsDirect)", "true")
    for (key, value) in desired.metadata.sorted(by: { $0.key < $1.key }) {
      guard compare(key, actual.metadata[key] ?? "none", value), actual.metadata[key] != nil
      else { continue }
      warnings.append(
        "the partitions of a generation may not change, because people would move between them;"
          + " \(newGeneration)")
    }
    guard !differences.isEmpty else { return nil }
    return StreamChange(
      stream: desired.name, action: action, differences: differences,
      warning: warnings.isEmpty ? nil : uniqued(warnings).joined(separator: "; "),
      config: desired)
  }

  private static func sizeText(_ bytes: Int64) -> String {
    bytes < 0 ? "unlimited" : Quantity.text(bytes: bytes)
  }

  private static func uniqued(_ texts: [String]) -> [String] {
    texts.enumerated().filter { index, text in !texts[..<index].contains(text) }.map(\.element)
  }
}
