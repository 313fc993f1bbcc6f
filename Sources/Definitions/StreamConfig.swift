import Events

/// The configuration of one JetStream stream, as far as the definitions decide it.
///
/// Rendered as the JSON of nats-server's `StreamConfig`. Durations there are nanoseconds; -1 is
/// without limit.
public struct StreamConfig: Hashable, Sendable {
  public var name: String
  public var subjects: [String]
  /// `file`: the log is the only truth.
  public var storage: String
  /// `limits`: messages stay until a limit is reached.
  public var retention: String
  /// `new`: a full stream refuses; it never drops its oldest messages.
  public var discard: String
  public var bytesMax: Int64
  public var messageBytesMax: Int64
  /// Microseconds in which the server recognises a `Nats-Msg-Id`.
  public var duplicateWindow: Int64
  public var replicas: Int
  /// What the stream is in the set that it belongs to; kept in its metadata, so that a change of
  /// the number of partitions is noticed.
  public var metadata: [String: String]

  public init(
    name: String, subjects: [String], storage: String, retention: String, discard: String,
    bytesMax: Int64, messageBytesMax: Int64, duplicateWindow: Int64, replicas: Int,
    metadata: [String: String] = [:]
  ) {
    self.name = name
    self.subjects = subjects
    self.storage = storage
    self.retention = retention
    self.discard = discard
    self.bytesMax = bytesMax
    self.messageBytesMax = messageBytesMax
    self.duplicateWindow = duplicateWindow
    self.replicas = replicas
    self.metadata = metadata
  }

  /// For `$JS.API.STREAM.CREATE` and `UPDATE`.
  public var json: String {
    var json = JSONWriter(reserving: 512)
    json.beginObject()
    json.key("name")
    json.string(name)
    json.key("subjects")
    json.beginArray()
    for subject in subjects { json.string(subject) }
    json.endArray()
    for (key, value) in [("retention", retention), ("storage", storage), ("discard", discard)] {
      json.key(key)
      json.string(value)
    }
    for (key, value) in [
      ("max_consumers", -1), ("max_msgs", -1), ("max_msgs_per_subject", -1), ("max_age", 0),
      ("max_bytes", bytesMax), ("max_msg_size", messageBytesMax),
      ("duplicate_window", duplicateWindow * 1000), ("num_replicas", Int64(replicas)),
    ] as [(String, Int64)] {
      json.key(key)
      json.integer(value)
    }
    json.key("allow_direct")
    json.bool(true)
    json.key("metadata")
    json.beginObject()
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      json.key(key)
      json.string(value)
    }
    json.endObject()
    json.endObject()
    return String(decoding: json.bytes, as: UTF8.self)
  }
}
