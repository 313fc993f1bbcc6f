import Events
import Ports
import Synchronization
import Threads
import Views

/// Writes incidents into the log of facts: what becomes of each is in order, and each fact there once.
///
///     incident.opened   incident.updated …   incident.closed      subject facts.incident.<id>
///
/// What a crash left between the fact and the ledger is found in the log: the last fact of the incident is
/// another one than the ledger knows, and has this revision's id.
final class FactReceiver: IncidentReceiver {
  static let kind = "incident"

  private let log: any FactLog

  init(_ log: any FactLog) { self.log = log }

  func tell(_ notice: IncidentNotice) -> ReceiverAnswer {
    let fact = Fact(
      kind: Self.kind, id: "\(notice.row.id)", type: notice.event.rawValue,
      eventID: notice.messageID, time: notice.time, data: notice.fact)
    let last = notice.told?.sequence ?? 0
    let log = log
    return Self.waiting { await Self.append(fact, after: last, to: log) }
  }

  private static func append(
    _ fact: Fact, after last: UInt64, to log: any FactLog
  ) async -> ReceiverAnswer {
    var last = last
    for _ in 0..<3 {
      do throws(FactError) {
        return .accepted(sequence: try await log.append(fact, expecting: last))
      } catch .conflict {
        do throws(FactError) {
          let found = try await newest(fact, after: last, in: log)
          if let found, found.isOwn { return .accepted(sequence: found.sequence) }
          last = found?.sequence ?? 0
        } catch {
          return answer(to: error)
        }
      } catch {
        return answer(to: error)
      }
    }
    return .away("others write facts of the same incident", retryAfterMs: nil)
  }

  /// The newest fact of the incident behind a sequence, or this very fact where it is there.
  private static func newest(
    _ fact: Fact, after sequence: UInt64, in log: any FactLog
  ) async throws(FactError) -> (sequence: UInt64, isOwn: Bool)? {
    var newest: UInt64?
    var position = sequence
    while true {
      let page = try await log.read(kind: fact.kind, after: position)
      guard let last = page.last else { return newest.map { ($0, false) } }
      if let own = page.first(where: { $0.fact.eventID == fact.eventID }) {
        return (own.sequence, true)
      }
      newest = page.last { $0.fact.id == fact.id }?.sequence ?? newest
      position = last.sequence
    }
  }

  private static func answer(to error: FactError) -> ReceiverAnswer {
    // What it refuses is right: the stream is not there, or full. It may be tomorrow.
    .away("\(error)", retryAfterMs: nil)
  }

  /// Blocks this thread, which is not of the concurrency pool, until the task has its answer.
  private static func waiting(
    _ body: @escaping @Sendable () async -> ReceiverAnswer
  ) -> ReceiverAnswer {
    let result = LockedAnswer()
    let bell = Bell()
    Task.detached {
      result.set(await body())
      bell.ring()
    }
    bell.wait()
    return result.get()
  }
}

/// An answer on its way from a task to a thread.
private final class LockedAnswer: Sendable {
  private let answer = Mutex<ReceiverAnswer>(.away("it was not asked", retryAfterMs: nil))

  func set(_ value: ReceiverAnswer) { answer.withLock { $0 = value } }
  func get() -> ReceiverAnswer { answer.withLock { $0 } }
}
