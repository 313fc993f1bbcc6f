import Statistics
import Synchronization

/// Intervals of rates that were computed before. Most rows of an answer are of windows that do not change any more, so
/// the next answer has the same rates; an interval costs microseconds, a look here some 30 ns.
///
/// A table of ``placeCount`` places, 32 bytes each: whatever comes to a place takes it. It is made at the first use.
final class RateIntervals: Sendable {
  typealias Ends = (lower: Double, upper: Double)

  private struct Place {
    var part: Int64 = 0
    /// 0 in an empty one: a rate of nothing has no interval.
    var whole: Int64 = 0
    var lower = 0.0
    var upper = 0.0
  }

  private static let placeCount = 1 << 14

  private let places = Mutex<[Place]>([])

  /// What ``RateInterval`` gives.
  func ends(_ part: Int64, of whole: Int64) -> Ends? {
    var mixed = UInt64(bitPattern: part) &* 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ UInt64(bitPattern: whole)) &* 0xbf58_476d_1ce4_e5b9
    let index = Int(mixed >> 50)
    let known = places.withLock { places -> Ends? in
      guard !places.isEmpty, whole != 0, places[index].part == part,
        places[index].whole == whole
      else { return nil }
      return (places[index].lower, places[index].upper)
    }
    if let known { return known }
    guard let interval = RateInterval(part, of: whole) else { return nil }
    places.withLock { places in
      if places.isEmpty { places = Array(repeating: Place(), count: Self.placeCount) }
      places[index] = Place(
        part: part, whole: whole, lower: interval.lower, upper: interval.upper)
    }
    return (interval.lower, interval.upper)
  }
}
