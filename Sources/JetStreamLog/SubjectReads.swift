import NATSClient

/// Direct reads of messages by subject, many on their way at once: requests go out without waiting for the
/// answers of those before. One after the other each costs a turn of the server, of the client's library
/// and of the caller, which on busy processors is most of the time.
///
/// All answers come to one subscription, `<inbox>.<number>`. Confined to one thread; each number may have
/// one read on its way.
public final class SubjectReads {
  /// More are dropped by the library, and said so: 64 messages of half a mebibyte.
  private static let waitingBytesMax = 32 << 20

  private let session: NATSSession
  private let stream: String
  private let inbox: String
  private let subscription: NATSSubscription
  private let timeoutMs: Int

  /// - Parameters:
  ///   - stream: allows direct reads.
  ///   - outstandingMax: reads that will be on their way at once.
  public init(
    _ admin: StreamAdmin, stream: String, outstandingMax: Int
  ) throws(StreamAdmin.Failure) {
    do throws(NATSError) {
      session = try admin.connection.session(timeoutMs: admin.timeoutMs)
      inbox = try newInbox()
      subscription = try session.subscribe(
        "\(inbox).*", maxMessages: 2 * outstandingMax, maxBytes: Self.waitingBytesMax)
    } catch {
      throw .unreachable(error)
    }
    self.stream = stream
    timeoutMs = admin.timeoutMs
  }

  /// Asks for the first message of a subject at or after a sequence.
  public func ask(
    _ number: Int, subject: String, from sequence: UInt64
  ) throws(StreamAdmin.Failure) {
    do throws(NATSError) {
      try session.publish(
        "$JS.API.DIRECT.GET.\(stream)", reply: "\(inbox).\(number)",
        Array("{\"seq\":\(sequence),\"next_by_subj\":\"\(subject)\"}".utf8))
    } catch {
      throw .unreachable(error)
    }
  }

  /// The next answer that comes, whichever read it is of.
  ///
  /// - Returns: the read's number, and its message or nil where there is none.
  public func next() throws(StreamAdmin.Failure) -> (Int, StreamAdmin.SubjectMessage?) {
    let operation = "read messages of stream \(stream)"
    let answer: NATSMessage?
    do throws(NATSError) {
      answer = try subscription.next(timeoutMs: timeoutMs)
    } catch {
      throw .unreachable(error)
    }
    guard let answer else {
      throw .unreachable(.timedOut(operation: operation, milliseconds: timeoutMs))
    }
    guard let number = Int(answer.subject.dropFirst(inbox.utf8.count + 1)) else {
      throw .notUnderstood(operation: operation)
    }
    switch answer.status {
    case 404: return (number, nil)
    case nil: break
    default: throw .notUnderstood(operation: operation)
    }
    guard let text = answer.header("Nats-Sequence"), let sequence = UInt64(text) else {
      throw .notUnderstood(operation: operation)
    }
    return (
      number, StreamAdmin.SubjectMessage(sequence: sequence, bytes: answer.copiedPayload())
    )
  }
}
