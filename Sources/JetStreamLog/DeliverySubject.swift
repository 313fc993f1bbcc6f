/// What JetStream writes into the reply subject of a delivered message:
///
/// ```text
/// $JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time ns>.<pending>
/// $JS.ACK.<domain>.<account hash>.<stream>.<consumer>.<deliveries>.….<pending>[.<random>]
/// ```
///
/// (nats-server ADR-15.) Anything else is nil: such a message isn't a delivery.
struct DeliverySubject: Equatable {
  var streamSequence: UInt64
  /// Counts this consumer's deliveries from 1; consecutive unless one was lost.
  var consumerSequence: UInt64
  /// Microseconds since the epoch.
  var storedAt: Int64
  /// Messages in the stream after this one.
  var pending: UInt64

  init?(_ subject: UnsafeBufferPointer<UInt8>) {
    var dots = 0
    for byte in subject where byte == UInt8(ascii: ".") { dots += 1 }
    // Tokens before the number of deliveries.
    let skipped: Int
    switch dots + 1 {
    case 9: skipped = 4
    case 11, 12: skipped = 6
    default: return nil
    }
    guard subject.starts(with: "$JS.ACK.".utf8) else { return nil }
    var index = 0
    for _ in 0..<skipped {
      while subject[index] != UInt8(ascii: ".") { index += 1 }
      index += 1
    }
    func number() -> UInt64? {
      var value: UInt64 = 0
      let start = index
      while index < subject.count, subject[index] != UInt8(ascii: ".") {
        let digit = subject[index] &- UInt8(ascii: "0")
        guard digit <= 9, value < UInt64.max / 10 - 1 else { return nil }
        value = value * 10 + UInt64(digit)
        index += 1
      }
      guard index > start else { return nil }
      index += 1
      return value
    }
    guard number() != nil, let sequence = number(), let delivery = number(),
      let nanoseconds = number(), let left = number(), sequence > 0, delivery > 0
    else { return nil }
    streamSequence = sequence
    consumerSequence = delivery
    storedAt = Int64(nanoseconds / 1_000)
    pending = left
  }
}
