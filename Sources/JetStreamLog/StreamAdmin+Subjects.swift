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
}
