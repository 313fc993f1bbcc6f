/// Something that was decided or found out and is kept for ever: an experiment was started, an incident has
/// begun. Facts are few, and each thing's own facts are in one order.
public struct Fact: Sendable, Hashable {
  /// What sort of thing it is about, such as `experiment`; see ``isName(_:)``.
  public var kind: String
  /// Which of them; see ``isName(_:)``.
  public var id: String
  /// What happened, such as `experiment.started`.
  public var type: String
  /// The same for every copy of this fact: one that is appended again is stored once.
  public var eventID: String
  /// Microseconds since the epoch.
  public var time: Int64
  /// A JSON value.
  public var data: [UInt8]

  public init(
    kind: String, id: String, type: String, eventID: String, time: Int64, data: [UInt8]
  ) {
    self.kind = kind
    self.id = id
    self.type = type
    self.eventID = eventID
    self.time = time
    self.data = data
  }

  /// Whether a text may be a kind or an id: 1 to 64 of a-z, A-Z, 0-9, - and _, since it is part of subjects.
  public static func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        byte &- UInt8(ascii: "0") <= 9 || (byte | 0x20) &- UInt8(ascii: "a") <= 25
          || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
      }
  }
}

public enum FactError: Error, Hashable, Sendable {
  /// The newest fact of this kind and id is another one than expected; 0: there is none.
  case conflict(last: UInt64)
  /// Not now: try again.
  case unavailable(String)
  /// It will never work.
  case refused(String)
}

extension FactError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .conflict(let last): "somebody else was first: the newest fact is number \(last)"
    case .unavailable(let reason): reason
    case .refused(let reason): "refused: \(reason)"
    }
  }
}

/// The facts, in one order. Safe to use from any task.
public protocol FactLog: Sendable {
  /// Appends a fact and returns once it is durable.
  ///
  /// - Parameter sequence: what the newest fact of its kind and id must have; 0 where there must be none,
  ///   nil where that does not matter.
  /// - Returns: its sequence. The same fact again gives the sequence of the first copy.
  func append(_ fact: Fact, expecting sequence: UInt64?) async throws(FactError) -> UInt64

  /// Facts of a kind after a sequence (0: from the beginning), rising, as many as fit in one answer; none
  /// where nothing is newer.
  func read(
    kind: String, after sequence: UInt64
  ) async throws(FactError) -> [(sequence: UInt64, fact: Fact)]
}

extension FactLog {
  /// Hands on all facts of a kind after a sequence, and then those that come, until the task is cancelled.
  ///
  /// - Parameters:
  ///   - pause: between two looks where nothing was new.
  ///   - each: gets facts in order, each once. None: everything that there was at the last look is handed on.
  ///   - failed: the log could not be read; it is tried again after the pause.
  public func follow(
    kind: String, after sequence: UInt64 = 0, pause: Duration = .milliseconds(500),
    each: ([(sequence: UInt64, fact: Fact)]) async -> Void, failed: (FactError) async -> Void
  ) async {
    var position = sequence
    while !Task.isCancelled {
      do throws(FactError) {
        let facts = try await read(kind: kind, after: position)
        await each(facts)
        if let last = facts.last {
          position = last.sequence
          continue
        }
      } catch {
        await failed(error)
      }
      do {
        try await Task.sleep(for: pause)
      } catch {
        return
      }
    }
  }
}
