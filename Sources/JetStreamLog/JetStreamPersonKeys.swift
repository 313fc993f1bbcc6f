public import Events
public import NATSClient
public import Ports

/// Keys of persons in one JetStream stream: a subject for each person, and on it one message, which is the key
/// or, with no bytes, says that it was erased.
///
///     person-keys.<person, 32 digits>    the key as the collectors have wrapped it
///
/// A key is stored with the sequence that its subject must have had last (`Nats-Expected-Last-Subject-Sequence`),
/// so of several collectors one wins, and the others read what it has stored. Reads are the leader's own: a
/// replica that is behind could bring an erased key back.
///
/// Erasing overwrites the message in the stream's files (`STREAM.MSG.DELETE`, whose erasure is secure), then
/// leaves an empty one in its place. That one is heard by all who listen to the subjects. Copies of these files
/// keep erased keys: back them up apart from the log, and for no longer than an erasure may take.
public final class JetStreamPersonKeys: PersonKeyStore {
  public static let stream = "person-keys"
  /// Each takes about 200 bytes of the server's disk.
  public static let countMax = 20_000_000

  private static let eraseAttemptsMax = 8

  private let connection: NATSConnection
  private let admin: StreamAdmin
  private let replicas: Int
  private let timeoutMs: Int

  /// - Parameters:
  ///   - replicas: of the stream, where it has to be made; as many as the log's streams have.
  ///   - timeoutMs: the longest that a call waits for the server.
  public init(_ connection: NATSConnection, replicas: Int = 1, timeoutMs: Int = 2_000) {
    self.connection = connection
    self.replicas = replicas
    self.timeoutMs = timeoutMs
    admin = StreamAdmin(connection, timeoutMs: timeoutMs)
  }

  static func subject(of person: Key128) -> String { "\(stream).\(person)" }

  static func person(of subject: String) -> Key128? {
    Key128(String(subject.dropFirst(stream.utf8.count + 1)))
  }

  // MARK: PersonKeyStore

  public func settle(
    _ wanted: [StoredPersonKey]
  ) throws(PersonKeyError) -> [Result<StoredPersonKey, PersonKeyError>] {
    do {
      for _ in 0..<2 {
        let exchange = try PersonKeyExchange(
          wanted, connection.session(timeoutMs: 0), timeoutMs: timeoutMs)
        if let results = try exchange.run() { return results }
        try makeStream()
      }
    } catch let error as NATSError {
      throw .unavailable("\(error)")
    } catch let error as StreamAdmin.Failure {
      throw Self.error(error)
    } catch {
      throw .unavailable("\(error)")
    }
    throw .unavailable("the stream \(Self.stream) was made, and is not there")
  }

  public func key(of person: Key128) throws(PersonKeyError) -> StoredPersonKey? {
    do throws(StreamAdmin.Failure) {
      let message = try admin.last(Self.stream, subject: Self.subject(of: person))
      guard let message, !message.bytes.isEmpty else { return nil }
      return StoredPersonKey(person: person, bytes: message.bytes)
    } catch {
      throw Self.error(error)
    }
  }

  public func erase(_ person: Key128) throws(PersonKeyError) -> Bool {
    let subject = Self.subject(of: person)
    var hadOne = false
    do throws(StreamAdmin.Failure) {
      // Somebody may store a new key between the two steps: that one goes, too.
      for _ in 0..<Self.eraseAttemptsMax {
        guard let message = try admin.last(Self.stream, subject: subject) else { return hadOne }
        if message.bytes.isEmpty { return hadOne }
        hadOne = true
        try admin.erase(Self.stream, sequence: message.sequence)
        if try admin.store(subject, [], afterSequence: 0) { return true }
      }
    } catch {
      throw Self.error(error)
    }
    throw .unavailable("new keys of the person are stored all the time; try again")
  }

  public func erasures() -> any PersonKeyErasures { JetStreamPersonKeyErasures(connection) }

  // MARK: The stream

  private func makeStream() throws(StreamAdmin.Failure) {
    if try admin.info(Self.stream) != nil { return }
    _ = try admin.create(
      Self.stream,
      config: """
        {"name":"\(Self.stream)","subjects":["\(Self.stream).*"],"storage":"file",\
        "retention":"limits","discard":"new","max_msgs":\(Self.countMax),\
        "max_msgs_per_subject":1,"max_bytes":-1,"max_age":0,\
        "max_msg_size":\(StoredPersonKey.byteCountMax + 256),"num_replicas":\(replicas)}
        """)
  }

  private static func error(_ failure: StreamAdmin.Failure) -> PersonKeyError {
    switch failure {
    case .unreachable: return .unavailable("\(failure)")
    case .refused(_, let error) where error.code >= 500: return .unavailable("\(failure)")
    case .refused, .notUnderstood: return .refused("\(failure)")
    }
  }
}

/// Listens to what is published on the subjects of keys: an empty message erases one.
///
/// While there is no session nothing is heard; with the next one whatever is remembered is uncertain.
private final class JetStreamPersonKeyErasures: PersonKeyErasures {
  private static let messagesMax = 65_536
  private static let bytesMax = 32 << 20
  /// For the answer that shows that the server has the subscription.
  private static let answerMs = 1_000

  private let connection: NATSConnection
  private var subscription: NATSSubscription?

  init(_ connection: NATSConnection) { self.connection = connection }

  func next(timeoutMs: Int) -> PersonKeyNews {
    do throws(NATSError) {
      guard let subscription, subscription.session.isOpen else {
        return try listen(timeoutMs: timeoutMs)
      }
      return try heard(subscription, timeoutMs: timeoutMs)
    } catch {
      subscription = nil
      return .none
    }
  }

  private func listen(timeoutMs: Int) throws(NATSError) -> PersonKeyNews {
    subscription = nil
    let session = try connection.session(timeoutMs: timeoutMs)
    let subscription = try session.subscribe(
      "\(JetStreamPersonKeys.stream).*", maxMessages: Self.messagesMax, maxBytes: Self.bytesMax)
    // Its answer is sent after the subscription was taken: what is erased from here on is heard.
    _ = try session.request("$JS.API.INFO", [], timeoutMs: Self.answerMs)
    self.subscription = subscription
    return .uncertain
  }

  private func heard(
    _ subscription: NATSSubscription, timeoutMs: Int
  ) throws(NATSError) -> PersonKeyNews {
    var erased: [Key128] = []
    var waitMs = timeoutMs
    do throws(NATSError) {
      while let message = try subscription.next(timeoutMs: waitMs) {
        waitMs = 0
        guard message.payloadCount == 0 else { continue }
        if let person = JetStreamPersonKeys.person(of: message.subject) { erased.append(person) }
        if erased.count >= Self.messagesMax { break }
      }
    } catch {
      guard case .slowConsumer = error else { throw error }
      return .uncertain
    }
    return erased.isEmpty ? .none : .erased(erased)
  }
}
