public import NATSClient
public import Ports
import SessionPool

/// Facts in one JetStream stream: a subject for each thing, `facts.<kind>.<id>`, and on it all that is known of
/// it, one CloudEvent a message.
///
/// A fact is stored with the sequence that its subject must have had last
/// (`Nats-Expected-Last-Subject-Sequence`), so of several writers one wins and the others hear that they have
/// not. A fact that is sent again is known by its `Nats-Msg-Id` within the stream's `duplicate_window`, and by
/// its id for as long as it is the newest of its subject: who has lost an answer sends the same fact again.
/// Reads are the leader's own.
public final class JetStreamFacts: FactLog {
  /// Facts of one answer; each is a question to the server.
  private static let batchMax = 256
  private static let waitingMax = 1_024
  private static let threads = 2

  private let stream: String
  private let admin: StreamAdmin
  private let pool = SessionPool<NATSConnection>(size: threads, waitingMax: waitingMax)

  /// - Parameters:
  ///   - stream: its name; it is made by applying the definitions.
  ///   - timeoutMs: the longest that a question waits for the server.
  public init(_ connection: NATSConnection, stream: String, timeoutMs: Int = 2_000) {
    self.stream = stream
    admin = StreamAdmin(connection, timeoutMs: timeoutMs)
  }

  public func append(
    _ fact: Fact, expecting sequence: UInt64?
  ) async throws(FactError) -> UInt64 {
    guard Fact.isName(fact.kind), Fact.isName(fact.id) else {
      throw .refused(
        "the fact's kind and id are part of a subject: 1 to 64 of a-z, A-Z, 0-9, - and _")
    }
    guard FactEnvelope.isWhole(fact) else { throw .refused("the fact's data are not JSON") }
    let (stream, admin) = (stream, admin)
    return try await run { () throws(FactError) in
      try Self.append(fact, expecting: sequence, to: stream, admin)
    }
  }

  public func read(
    kind: String, after sequence: UInt64
  ) async throws(FactError) -> [(sequence: UInt64, fact: Fact)] {
    guard Fact.isName(kind) else {
      throw .refused("the kind of facts is part of a subject: 1 to 64 of a-z, A-Z, 0-9, - and _")
    }
    let (stream, admin) = (stream, admin)
    return try await run { () throws(FactError) in
      var facts: [(sequence: UInt64, fact: Fact)] = []
      var position = sequence
      while facts.count < Self.batchMax,
        let message = try Self.answer({ () throws(StreamAdmin.Failure) in
          try admin.firstStored(stream, subject: "\(stream).\(kind).*", from: position + 1)
        })
      {
        guard let fact = FactEnvelope.decode(message.bytes) else {
          throw .refused(
            "message \(message.sequence) of stream \(stream) is no fact; only this program may write"
              + " there: remove the message")
        }
        facts.append((sequence: message.sequence, fact: fact))
        position = message.sequence
      }
      return facts
    }
  }

  private func run<Value: Sendable>(
    _ work: @escaping @Sendable () throws(FactError) -> Value
  ) async throws(FactError) -> Value {
    try await pool.run(orElse: FactError.unavailable("too many facts are waiting")) {
      (_: inout NATSConnection?) throws(FactError) in try work()
    }
  }

  private static func append(
    _ fact: Fact, expecting sequence: UInt64?, to stream: String, _ admin: StreamAdmin
  ) throws(FactError) -> UInt64 {
    let subject = "\(stream).\(fact.kind).\(fact.id)"
    var headers = [(name: "Nats-Msg-Id", value: fact.eventID)]
    if let sequence {
      headers.append((name: StreamAdmin.expectedSubjectSequence, value: "\(sequence)"))
    }
    let outcome = try answer { () throws(StreamAdmin.Failure) in
      try admin.publish(subject, FactEnvelope.encode(fact), headers: headers)
    }
    switch outcome {
    case .stored(let sequence, _): return sequence
    case .retriable(let reason), .full(let reason): throw .unavailable(reason)
    case .sealed(let reason): throw .refused(reason)
    case .refused(let reason):
      guard sequence != nil else { throw .refused(reason) }
      let last = try answer { () throws(StreamAdmin.Failure) in
        try admin.last(stream, subject: subject)
      }
      if let last, FactEnvelope.decode(last.bytes)?.eventID == fact.eventID {
        return last.sequence
      }
      guard last?.sequence ?? 0 != sequence else { throw .refused(reason) }
      throw .conflict(last: last?.sequence ?? 0)
    }
  }

  private static func answer<Value>(
    _ question: () throws(StreamAdmin.Failure) -> Value
  ) throws(FactError) -> Value {
    do throws(StreamAdmin.Failure) {
      return try question()
    } catch {
      switch error {
      case .unreachable: throw .unavailable("\(error)")
      case .refused(_, let reason) where reason.code >= 500: throw .unavailable("\(error)")
      case .refused, .notUnderstood: throw .refused("\(error)")
      }
    }
  }
}
