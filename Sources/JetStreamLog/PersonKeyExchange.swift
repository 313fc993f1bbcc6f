import NATSClient
import Ports

/// One round of settling keys with the server, for all persons at once.
///
///     reading (STREAM.MSG.GET) --> has one: done
///         ^                    --> has none --> storing --> stored: done
///         +---------------------------------- another was first
///
/// All answers come to one subscription, `<inbox>.<person's place>`. At most ``outstandingMax`` are waited for.
final class PersonKeyExchange {
  private struct Person {
    let wanted: StoredPersonKey
    var isStoring = false
    var attempts = 0
    var result: Result<StoredPersonKey, PersonKeyError>?
  }

  private static let outstandingMax = 256
  /// How often others may be first: once, unless keys are erased meanwhile.
  private static let attemptsMax = 8

  private let session: NATSSession
  private let inbox: String
  private let subscription: NATSSubscription
  private let deadline: Int64
  private let timeoutMs: Int
  private var persons: [Person]
  private var unsent: Int = 0
  private var outstanding = 0
  private var left: Int

  init(_ wanted: [StoredPersonKey], _ session: NATSSession, timeoutMs: Int) throws(NATSError) {
    self.session = session
    self.timeoutMs = timeoutMs
    inbox = try newInbox()
    subscription = try session.subscribe(
      "\(inbox).*", maxMessages: 2 * Self.outstandingMax, maxBytes: 4 << 20)
    deadline = monotonicMs() + Int64(timeoutMs)
    persons = wanted.map { Person(wanted: $0) }
    left = wanted.count
  }

  /// - Returns: for each person, in their order; nil where there is no stream.
  func run() throws(NATSError) -> [Result<StoredPersonKey, PersonKeyError>]? {
    while left > 0 {
      while outstanding < Self.outstandingMax, unsent < persons.count {
        try read(unsent)
        outstanding += 1
        unsent += 1
      }
      let waitMs = deadline - monotonicMs()
      guard waitMs > 0, let message = try subscription.next(timeoutMs: Int(waitMs)) else { break }
      guard let index = Int(message.subject.dropFirst(inbox.utf8.count + 1)),
        persons.indices.contains(index), persons[index].result == nil
      else { continue }
      guard try received(message, index) else { return nil }
      if persons[index].result != nil {
        outstanding -= 1
        left -= 1
      }
    }
    return persons.map { person in
      person.result
        ?? .failure(.unavailable("JetStream has not answered within \(timeoutMs) ms"))
    }
  }

  private func read(_ index: Int) throws(NATSError) {
    persons[index].isStoring = false
    persons[index].attempts += 1
    let subject = JetStreamPersonKeys.subject(of: persons[index].wanted.person)
    try session.publish(
      "$JS.API.STREAM.MSG.GET.\(JetStreamPersonKeys.stream)", reply: "\(inbox).\(index)",
      Array("{\"last_by_subj\":\"\(subject)\"}".utf8))
  }

  private func store(_ index: Int, after sequence: UInt64) throws(NATSError) {
    persons[index].isStoring = true
    let wanted = persons[index].wanted
    try session.publish(
      OutgoingMessage(
        subject: JetStreamPersonKeys.subject(of: wanted.person), reply: "\(inbox).\(index)",
        headers: [(name: StreamAdmin.expectedSubjectSequence, value: "\(sequence)")],
        payload: wanted.bytes))
  }

  /// - Returns: false where there is no stream.
  private func received(_ message: NATSMessage, _ index: Int) throws(NATSError) -> Bool {
    if message.status == 503 {
      persons[index].result = .failure(.unavailable("JetStream does not answer"))
      return true
    }
    let answer = JSONSlice(message.copiedPayload())
    let error = APIError(answer)
    if persons[index].isStoring {
      try stored(answer, error, index)
      return true
    }
    switch error?.number {
    case nil:
      guard let found = answer["message"].flatMap(StoredMessage.init) else {
        persons[index].result = .failure(.refused("an answer of JetStream is not understood"))
        return true
      }
      if found.bytes.isEmpty {
        try store(index, after: found.sequence)
      } else {
        persons[index].result = .success(
          StoredPersonKey(person: persons[index].wanted.person, bytes: Array(found.bytes)))
      }
    case APIError.messageNotFound: try store(index, after: 0)
    case APIError.streamNotFound: return false
    default:
      persons[index].result = .failure(.unavailable("JetStream: \(error.map { "\($0)" } ?? "")"))
    }
    return true
  }

  private func stored(_ answer: JSONSlice, _ error: APIError?, _ index: Int) throws(NATSError) {
    if let error, APIError.wrongSubjectSequence.contains(error.number),
      persons[index].attempts < Self.attemptsMax
    {
      return try read(index)
    }
    switch PubAck(answer) {
    case .stored: persons[index].result = .success(persons[index].wanted)
    case .retriable(let reason): persons[index].result = .failure(.unavailable(reason))
    case .full(let reason): persons[index].result = .failure(.full(reason))
    case .sealed(let reason), .refused(let reason):
      persons[index].result = .failure(.refused(reason))
    }
  }
}
