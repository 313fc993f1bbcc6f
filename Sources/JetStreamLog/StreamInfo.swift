/// Configuration and state of one stream, from `$JS.API.STREAM.INFO`.
public struct StreamInfo: Sendable, Equatable {
  public var name: String
  /// The JSON object exactly as the server holds it, its defaults and metadata included.
  public var config: String
  public var messages: UInt64
  /// Stored bytes, headers and subjects included.
  public var bytes: UInt64
  /// 0 in a stream that never held anything; last + 1 in an emptied one.
  public var firstSequence: UInt64
  public var lastSequence: UInt64
  /// Deleted sequences between first and last.
  public var deleted: UInt64

  init?(_ answer: JSONSlice) {
    guard let config = answer["config"], let name = config["name"]?.string,
      let state = answer["state"],
      let messages = state["messages"]?.unsigned, let bytes = state["bytes"]?.unsigned,
      let first = state["first_seq"]?.unsigned, let last = state["last_seq"]?.unsigned
    else { return nil }
    self.name = name
    self.config = config.text
    self.messages = messages
    self.bytes = bytes
    firstSequence = first
    lastSequence = last
    deleted = state["num_deleted"]?.unsigned ?? 0
  }
}

/// What an account uses of its JetStream limits, from `$JS.API.INFO`; -1 means without limit.
public struct AccountInfo: Sendable, Equatable {
  /// Bytes in file storage: used, reserved by `max_bytes` of streams, allowed.
  public var storage: UInt64
  public var reservedStorage: UInt64
  public var maxStorage: Int64
  /// Bytes in memory storage: used, allowed.
  public var memory: UInt64
  public var maxMemory: Int64
  public var streams: Int64
  public var maxStreams: Int64
  public var consumers: Int64
  public var maxConsumers: Int64

  init?(_ answer: JSONSlice) {
    guard let storage = answer["storage"]?.unsigned, let memory = answer["memory"]?.unsigned,
      let limits = answer["limits"], let maxStorage = limits["max_storage"]?.integer
    else { return nil }
    self.storage = storage
    self.memory = memory
    self.maxStorage = maxStorage
    reservedStorage = answer["reserved_storage"]?.unsigned ?? 0
    maxMemory = limits["max_memory"]?.integer ?? -1
    streams = answer["streams"]?.integer ?? 0
    maxStreams = limits["max_streams"]?.integer ?? -1
    consumers = answer["consumers"]?.integer ?? 0
    maxConsumers = limits["max_consumers"]?.integer ?? -1
  }
}
