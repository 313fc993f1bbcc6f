import HTTPServer
import Statistics
import Synchronization

/// Rates and their intervals as text, as they were written before. Most rows of an answer are of windows that do not change
/// any more, so the next answer has the same rates; to compute and to write one costs microseconds, a look here a lock and a
/// comparison.
///
/// A table of ``placeCount`` places, some 100 bytes each: whatever comes to a place takes it. It is made at the first use.
final class RateTexts: Sendable {
  /// A rate and its interval, such as `0.2` and `[0.0466,0.507]`, or `null`.
  struct Text: Sendable {
    fileprivate let bytes: [UInt8]
    /// Of ``bytes``, those of the rate.
    fileprivate let count: Int

    init(_ part: Int64, of whole: Int64) {
      var bytes: [UInt8] = []
      let rate = whole == 0 ? "null" : AnswerWriter.text(Double(part) / Double(whole))
      bytes.append(contentsOf: rate.utf8)
      count = bytes.count
      JSONText.append(
        ends: RateInterval(part, of: whole).map { ($0.lower, $0.upper) }, to: &bytes)
      self.bytes = bytes
    }

    var rate: ArraySlice<UInt8> { bytes[..<count] }
    var interval: ArraySlice<UInt8> { bytes[count...] }
  }

  private struct Place {
    var part: Int64
    var whole: Int64
    var text: Text
  }

  private static let placeCount = 1 << 14

  private let places = Mutex<[Place?]>([])

  func text(_ part: Int64, of whole: Int64) -> Text {
    var mixed = UInt64(bitPattern: part) &* 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ UInt64(bitPattern: whole)) &* 0xbf58_476d_1ce4_e5b9
    let index = Int(mixed >> 50)
    let known = places.withLock { places -> Text? in
      guard !places.isEmpty, let place = places[index], place.part == part, place.whole == whole
      else { return nil }
      return place.text
    }
    if let known { return known }
    let text = Text(part, of: whole)
    places.withLock { places in
      if places.isEmpty { places = Array(repeating: nil, count: Self.placeCount) }
      places[index] = Place(part: part, whole: whole, text: text)
    }
    return text
  }
}
