import NATSClient

// Streams of many subjects: what each holds, message by message, and removing one.
extension StreamAdmin {
  /// One message of a stream and its sequence.
  public struct SubjectMessage: Sendable {
    public var sequence: UInt64
    public var bytes: [UInt8]
  }

  /// How many messages each subject has.
  ///
  /// - Parameter filter: a subject, wildcards allowed.
  /// - Returns: nil when there is no stream of this name.
  public func subjects(_ name: String, filter: String) throws(Failure) -> [String: UInt64]? {
    let operation = "list subjects of stream \(name)"
    var counts: [String: UInt64] = [:]
    while true {
      let body = "{\"subjects_filter\":\"\(filter)\",\"offset\":\(counts.count)}"
      let answer: JSONSlice
      do throws(Failure) {
        answer = try ask("STREAM.INFO.\(name)", body, operation)
      } catch {
        guard error.isNotFound else { throw error }
        return nil
      }
      guard let state = answer["state"] else { throw .notUnderstood(operation: operation) }
      let page = state["subjects"]?.members ?? []
      for (subject, count) in page { counts[subject] = count.unsigned ?? 0 }
      let total = answer["total"]?.unsigned ?? 0
      if page.isEmpty || counts.count >= Int(clamping: total) { return counts }
    }
  }

  /// The first message of a subject at or after a sequence, read directly; nil when there is none.
  /// The stream must allow direct reads.
  public func next(
    _ name: String, subject: String, from sequence: UInt64
  ) throws(Failure) -> SubjectMessage? {
    let operation = "read \(subject) of stream \(name)"
    let body = "{\"seq\":\(sequence),\"next_by_subj\":\"\(subject)\"}"
    let message: NATSMessage
    do throws(NATSError) {
      message = try connection.session(timeoutMs: timeoutMs).request(
        "$JS.API.DIRECT.GET.\(name)", Array(body.utf8), timeoutMs: timeoutMs)
    } catch {
      throw .unreachable(error)
    }
    if message.status == 404 { return nil }
    guard message.status == nil, let text = message.header("Nats-Sequence"),
      let found = UInt64(text)
    else { throw .notUnderstood(operation: operation) }
    return SubjectMessage(sequence: found, bytes: message.copiedPayload())
  }

  /// Stores one message and waits until the server has it.
  public func store(_ subject: String, _ payload: [UInt8]) throws(Failure) {
    let operation = "store a message on \(subject)"
    let bytes: [UInt8]
    do throws(NATSError) {
      bytes = try connection.request(subject, payload, timeoutMs: timeoutMs)
    } catch {
      throw .unreachable(error)
    }
    let answer = JSONSlice(bytes)
    if let error = APIError(answer) { throw .refused(operation: operation, error) }
    guard answer["seq"]?.unsigned != nil else { throw .notUnderstood(operation: operation) }
  }

  /// Removes all messages of a subject.
  public func purge(_ name: String, subject: String) throws(Failure) {
    _ = try ask(
      "STREAM.PURGE.\(name)", "{\"filter\":\"\(subject)\"}", "purge \(subject) of stream \(name)")
  }

  /// The newest message of a subject, as the stream's leader has it; nil where there is none, or no stream.
  public func last(_ name: String, subject: String) throws(Failure) -> SubjectMessage? {
    let operation = "read the last of \(subject) of stream \(name)"
    do throws(Failure) {
      let answer = try ask("STREAM.MSG.GET.\(name)", "{\"last_by_subj\":\"\(subject)\"}", operation)
      guard let message = answer["message"].flatMap(StoredMessage.init) else {
        throw Failure.notUnderstood(operation: operation)
      }
      return SubjectMessage(sequence: message.sequence, bytes: Array(message.bytes))
    } catch {
      guard error.isNotFound else { throw error }
      return nil
    }
  }

  static let expectedSubjectSequence = "Nats-Expected-Last-Subject-Sequence"

  /// Stores one message where the newest of its subject has this sequence; 0: where there is none.
  ///
  /// - Returns: whether it was so.
  public func store(
    _ subject: String, _ payload: [UInt8], afterSequence sequence: UInt64
  ) throws(Failure) -> Bool {
    let operation = "store a message on \(subject)"
    let message = try exchange(
      subject, payload, headers: [(name: Self.expectedSubjectSequence, value: "\(sequence)")])
    let answer = JSONSlice(message.copiedPayload())
    if let error = APIError(answer) {
      if APIError.wrongSubjectSequence.contains(error.number) { return false }
      throw .refused(operation: operation, error)
    }
    guard answer["seq"]?.unsigned != nil else { throw .notUnderstood(operation: operation) }
    return true
  }

  /// Sends one message to a stream and waits for what the server says to it.
  func publish(
    _ subject: String, _ payload: [UInt8], headers: [(name: String, value: String)]
  ) throws(Failure) -> PubAck {
    PubAck(try exchange(subject, payload, headers: headers))
  }

  private func exchange(
    _ subject: String, _ payload: [UInt8], headers: [(name: String, value: String)]
  ) throws(Failure) -> NATSMessage {
    do throws(NATSError) {
      let session = try connection.session(timeoutMs: timeoutMs)
      let inbox = try newInbox()
      let subscription = try session.subscribe(inbox, maxMessages: 16, maxBytes: 1 << 20)
      try session.publish(
        OutgoingMessage(subject: subject, reply: inbox, headers: headers, payload: payload))
      guard let message = try subscription.next(timeoutMs: timeoutMs) else {
        throw NATSError.timedOut(
          operation: "store a message on \(subject)", milliseconds: timeoutMs)
      }
      return message
    } catch {
      throw .unreachable(error)
    }
  }

  /// The first message of a subject at or after a sequence, as the stream's leader has it; nil where there is
  /// none.
  func firstStored(
    _ name: String, subject: String, from sequence: UInt64
  ) throws(Failure) -> SubjectMessage? {
    let operation = "read \(subject) of stream \(name)"
    do throws(Failure) {
      let answer = try ask(
        "STREAM.MSG.GET.\(name)", "{\"seq\":\(sequence),\"next_by_subj\":\"\(subject)\"}", operation
      )
      guard let message = answer["message"].flatMap(StoredMessage.init) else {
        throw Failure.notUnderstood(operation: operation)
      }
      return SubjectMessage(sequence: message.sequence, bytes: Array(message.bytes))
    } catch {
      guard case .refused(_, let reason) = error, reason.number == APIError.messageNotFound else {
        throw error
      }
      return nil
    }
  }

  /// Removes one message and overwrites its bytes in the stream's files; nothing where it is not there any
  /// more.
  public func erase(_ name: String, sequence: UInt64) throws(Failure) {
    do throws(Failure) {
      _ = try ask(
        "STREAM.MSG.DELETE.\(name)", "{\"seq\":\(sequence)}",
        "erase message \(sequence) of stream \(name)")
    } catch {
      guard case .refused(_, let reason) = error, reason.number == APIError.messageNotDeleted else {
        throw error
      }
    }
  }
}
