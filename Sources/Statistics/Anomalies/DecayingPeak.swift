/// How near a value comes to the largest one so far, which is forgotten slowly.
///
/// Figures of different units and tails become comparable without a model of either: 1 is as large as ever,
/// above 1 a record. In an exchangeable series records come with rate 1/n, so a threshold near 1 has few false
/// alarms whatever the distribution (Rényi 1962 on records). Cost: two multiplications, 16 bytes. Fails where
/// the largest value came early and is no measure of what follows: it takes some half-lives until it is forgotten.
struct DecayingPeak: Sendable, Equatable {
  private(set) var peak = 0.0
  /// What is left of a peak after one value.
  private let keep: Double

  /// - Parameter halfLife: In values.
  init(halfLife: Double) { keep = Elementary.exp(-Elementary.ln2 / halfLife) }

  /// - Returns: The value as a share of the peak before it; 0 while nothing but zeros was seen.
  mutating func share(of value: Double) -> Double {
    let share = peak > 0 ? value / peak : 0
    peak = max(peak * keep, value)
    return share
  }

  func write(to writer: inout SketchWriter) { writer.put(peak) }

  mutating func read(_ reader: inout SketchReader) throws(SketchError) {
    peak = try reader.double("peak")
  }
}
