public import NATSClient
public import Ports

/// The event log on NATS JetStream: readers with a connection each, and one shared connection for
/// questions. Safe to use from any thread.
public final class JetStreamLog: EventLog {
  private let address: NATSAddress
  private let name: String

  /// For questions and small requests.
  public let connection: NATSConnection
  public let admin: StreamAdmin

  /// Connects in the background.
  ///
  /// - Parameters:
  ///   - name: shown by the server's monitoring; readers add their stream's.
  ///   - timeoutMs: the longest that a question waits.
  public init(address: NATSAddress, name: String, timeoutMs: Int = 5_000) {
    self.address = address
    self.name = name
    connection = NATSConnection(address, name: name)
    admin = StreamAdmin(connection, timeoutMs: timeoutMs)
  }

  public func reader(stream: String, after: UInt64) throws(LogError) -> any FrameReader {
    try jetStreamReader(stream: stream, after: after)
  }

  /// As `reader`, with the figures that only this reader has.
  public func jetStreamReader(
    stream: String, after: UInt64
  ) throws(LogError) -> JetStreamReader {
    try checkName(stream)
    return JetStreamReader(
      NATSConnection(address, name: "\(name) \(stream)"), stream: stream, after: after)
  }

  public func frame(stream: String, sequence: UInt64) throws(LogError) -> any StoredFrame {
    try checkName(stream)
    do throws(StreamAdmin.Failure) {
      if let message = try admin.message(stream, sequence: sequence) { return message }
    } catch {
      throw Self.logError(error)
    }
    let last = try bounds(stream: stream).last
    if sequence > last { throw .wentBack(stream: stream, wanted: sequence, last: last) }
    throw .missing(stream: stream, from: sequence, to: sequence)
  }

  public func bounds(stream: String) throws(LogError) -> (first: UInt64, last: UInt64) {
    try checkName(stream)
    do throws(StreamAdmin.Failure) {
      guard let info = try admin.info(stream) else {
        throw .refused(
          operation: "describe stream \(stream)",
          APIError(code: 404, number: APIError.streamNotFound, text: "stream not found"))
      }
      return (info.firstSequence, info.lastSequence)
    } catch {
      throw Self.logError(error)
    }
  }

  private static func logError(_ failure: StreamAdmin.Failure) -> LogError {
    switch failure {
    case .unreachable: return .unavailable("\(failure)")
    case .refused(_, let error) where error.code >= 500: return .unavailable("\(failure)")
    case .refused, .notUnderstood: return .refused("\(failure)")
    }
  }

  /// Names go into subjects, where dots, wildcards and spaces mean something else.
  private func checkName(_ stream: String) throws(LogError) {
    let isValid =
      !stream.isEmpty
      && stream.utf8.allSatisfy { byte in
        byte > 0x20 && byte < 0x7F && !".*>/\\".utf8.contains(byte)
      }
    guard isValid else {
      throw .refused("stream name \(stream): letters, digits, - and _ are allowed")
    }
  }
}
