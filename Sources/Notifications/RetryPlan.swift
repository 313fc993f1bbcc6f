import Events

/// When a receiver is told again what it did not take: after 1 s, then twice as long each time, 10 minutes at
/// most. A part of each wait, up to half, follows from the message's id, so that messages that failed together
/// do not come together again, and a test knows when they come.
///
///     the receiver is away    everything waits until it may have come back; for ever, if need be
///     it refuses a message    that message waits, others go on; after ``refusalsMax`` it is given up
///
/// A value; its clock is the caller's, milliseconds that only rise. Memory: one entry for each message that
/// waits, of those that ``keep(only:)`` was told of last.
struct RetryPlan {
  static let firstMs: Int64 = 1_000
  static let mostMs: Int64 = 600_000
  /// Refusals of one message, at 1 s, 3 s, 7 s … about 8 minutes after the first.
  static let refusalsMax = 10

  private struct Message {
    var refusals = 0
    var dueAt: Int64 = 0
  }

  private var failures = 0
  private var restsUntil = Int64.min
  private var messages: [String: Message] = [:]

  func isResting(now: Int64) -> Bool { now < restsUntil }

  func isDue(_ id: String, now: Int64) -> Bool { (messages[id]?.dueAt ?? .min) <= now }

  mutating func accepted(_ id: String) {
    messages[id] = nil
    failures = 0
  }

  /// - Parameter afterMs: when it said that it wants to be asked again.
  mutating func wasAway(_ id: String, afterMs: Int64?, now: Int64) {
    failures += 1
    let wait = Self.delay(attempt: failures, id: id)
    restsUntil = now + max(wait, min(afterMs ?? 0, Self.mostMs))
  }

  /// - Returns: whether the message is given up.
  mutating func refused(_ id: String, now: Int64) -> Bool {
    failures = 0
    var message = messages[id] ?? Message()
    message.refusals += 1
    guard message.refusals < Self.refusalsMax else {
      messages[id] = nil
      return true
    }
    message.dueAt = now + Self.delay(attempt: message.refusals, id: id)
    messages[id] = message
    return false
  }

  /// Forgets what is owed no longer.
  mutating func keep(only ids: Set<String>) {
    guard !messages.isEmpty else { return }
    messages = messages.filter { ids.contains($0.key) }
  }

  /// - Parameter attempt: from 1.
  static func delay(attempt: Int, id: String) -> Int64 {
    let full = min(mostMs, firstMs << min(attempt - 1, 20))
    var hash = SipHash128()
    hash.update(field: id)
    hash.update(byte: UInt8(truncatingIfNeeded: attempt))
    let share = Int64(hash.finalize().low & 0xffff)
    return full - full / 2 * share / 0x10000
  }
}
