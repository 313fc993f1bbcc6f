public import NATSClient

/// Streams of a JetStream server: look, create, change, delete, purge.
///
/// Speaks the `$JS.API.STREAM.*` requests with configurations as JSON text, so that fields which the
/// C library doesn't know (compression, metadata, …) pass through both ways unchanged. Safe to use
/// from any thread; every call blocks for at most `timeoutMs`.
public struct StreamAdmin: Sendable {
  /// Why a request failed.
  public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
    /// No answer, so nothing is known.
    case unreachable(NATSError)
    /// The server said no.
    case refused(operation: String, APIError)
    /// An answer that isn't what the API documents.
    case notUnderstood(operation: String)

    public var description: String {
      switch self {
      case .unreachable(let error): return "\(error)"
      case .refused(let operation, let error): return "JetStream refused to \(operation): \(error)"
      case .notUnderstood(let operation):
        return "JetStream's answer to \(operation) is not understood; nats-server 2.10 or newer"
          + " is needed"
      }
    }

    var isNotFound: Bool {
      guard case .refused(_, let error) = self else { return false }
      return error.number == APIError.streamNotFound || error.number == APIError.messageNotFound
    }
  }

  /// The `max_msg_size` of a sealed stream, which refuses every frame. JetStream's own `sealed` would
  /// do that too, and would also refuse to purge what is archived.
  public static let sealedMessageSize: Int64 = 1

  let connection: NATSConnection
  let timeoutMs: Int

  public init(_ connection: NATSConnection, timeoutMs: Int = 5_000) {
    self.connection = connection
    self.timeoutMs = timeoutMs
  }

  // MARK: Looking

  /// Names of all streams, sorted.
  public func names() throws(Failure) -> [String] {
    var names: [String] = []
    while true {
      let answer = try ask("STREAM.NAMES", "{\"offset\":\(names.count)}", "list streams")
      guard let total = answer["total"]?.unsigned else {
        throw .notUnderstood(operation: "list streams")
      }
      let page = (answer["streams"]?.elements ?? []).compactMap(\.string)
      names += page
      if page.isEmpty || names.count >= Int(clamping: total) { return names.sorted() }
    }
  }

  /// Configuration and state of a stream, nil when there is none of this name.
  public func info(_ name: String) throws(Failure) -> StreamInfo? {
    do throws(Failure) {
      return try streamInfo("STREAM.INFO.\(name)", "", "describe stream \(name)")
    } catch {
      guard error.isNotFound else { throw error }
      return nil
    }
  }

  /// What the account uses and may use.
  public func account() throws(Failure) -> AccountInfo {
    guard let info = AccountInfo(try ask("INFO", "", "describe the account")) else {
      throw .notUnderstood(operation: "describe the account")
    }
    return info
  }

  /// One stored message with its payload, nil when the stream doesn't hold the sequence.
  public func message(_ stream: String, sequence: UInt64) throws(Failure) -> StoredMessage? {
    let operation = "read message \(sequence) of stream \(stream)"
    do throws(Failure) {
      let answer = try ask("STREAM.MSG.GET.\(stream)", "{\"seq\":\(sequence)}", operation)
      guard let message = answer["message"].flatMap(StoredMessage.init) else {
        throw Failure.notUnderstood(operation: operation)
      }
      return message
    } catch {
      guard error.isNotFound, try info(stream) != nil else { throw error }
      return nil
    }
  }

  // MARK: Changing

  /// Creates a stream. Creating it again with the same configuration is no error.
  ///
  /// - Parameter config: the JSON object of nats-server's `StreamConfig`; `name` must be `name`.
  public func create(_ name: String, config: String) throws(Failure) -> StreamInfo {
    try streamInfo("STREAM.CREATE.\(name)", config, "create stream \(name)")
  }

  /// Changes a stream to `config`; the server refuses what it can't change.
  public func update(_ name: String, config: String) throws(Failure) -> StreamInfo {
    try streamInfo("STREAM.UPDATE.\(name)", config, "change stream \(name)")
  }

  /// Deletes a stream with everything in it. False when there was none.
  public func delete(_ name: String) throws(Failure) -> Bool {
    do throws(Failure) {
      _ = try ask("STREAM.DELETE.\(name)", "", "delete stream \(name)")
      return true
    } catch {
      guard error.isNotFound else { throw error }
      return false
    }
  }

  /// Removes the messages before `keepFrom` (all of them when nil).
  ///
  /// - Returns: how many were removed.
  public func purge(_ name: String, keepFrom: UInt64? = nil) throws(Failure) -> UInt64 {
    let operation = "purge stream \(name)"
    let body = keepFrom.map { "{\"seq\":\($0)}" } ?? ""
    let answer = try ask("STREAM.PURGE.\(name)", body, operation)
    guard let purged = answer["purged"]?.unsigned else {
      throw .notUnderstood(operation: operation)
    }
    return purged
  }

  /// Whether the stream refuses `frame` because it is closed (see ``sealedMessageSize``).
  ///
  /// A stream takes what is published to it in order: once it has refused, everything that was
  /// published earlier is stored or refused, and its last sequence stands.
  ///
  /// - Parameter frame: harmless where the stream takes it after all.
  public func isClosed(_ name: String, probe frame: [UInt8]) throws(Failure) -> Bool {
    let operation = "probe stream \(name)"
    let answer: [UInt8]
    do throws(NATSError) {
      answer = try connection.request(name, frame, timeoutMs: timeoutMs)
    } catch {
      throw .unreachable(error)
    }
    switch PubAck(JSONSlice(answer)) {
    case .sealed: return true
    case .stored: return false
    case .retriable, .full, .refused:
      throw APIError(JSONSlice(answer)).map { .refused(operation: operation, $0) }
        ?? .notUnderstood(operation: operation)
    }
  }

  // MARK: Requests

  private func streamInfo(
    _ subject: String, _ body: String, _ operation: String
  ) throws(Failure) -> StreamInfo {
    guard let info = StreamInfo(try ask(subject, body, operation)) else {
      throw .notUnderstood(operation: operation)
    }
    return info
  }

  func ask(
    _ subject: String, _ body: String, _ operation: String
  ) throws(Failure) -> JSONSlice {
    let bytes: [UInt8]
    do throws(NATSError) {
      bytes = try connection.request("$JS.API.\(subject)", Array(body.utf8), timeoutMs: timeoutMs)
    } catch {
      throw .unreachable(error)
    }
    let answer = JSONSlice(bytes)
    if let error = APIError(answer) { throw .refused(operation: operation, error) }
    return answer
  }
}
