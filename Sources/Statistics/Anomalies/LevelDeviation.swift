/// How far a quick mean has left a slow one.
///
/// Two exponentially weighted means (Roberts 1959) of which the slow one is the level: what lasts longer than the
/// quick one's memory and is new to the slow one's. Until enough values came both are plain means. Cost: some
/// nanoseconds, 24 bytes. Fails where a season is longer than the quick mean's memory and larger than what is to
/// be found: see ``SeasonalDeviation``.
struct LevelDeviation: Sendable, Equatable {
  private var quick = 0.0
  private var slow = 0.0
  private var count = 0.0
  private let quickGain: Double
  private let slowGain: Double

  init(quickGain: Double, slowGain: Double) {
    self.quickGain = quickGain
    self.slowGain = slowGain
  }

  mutating func distance(of value: Double) -> Double {
    count += 1
    quick += (value - quick) * max(quickGain, 1 / count)
    slow += (value - slow) * max(slowGain, 1 / count)
    return (quick - slow).magnitude
  }

  func write(to writer: inout SketchWriter) {
    writer.put(quick)
    writer.put(slow)
    writer.put(count)
  }

  mutating func read(_ reader: inout SketchReader) throws(SketchError) {
    quick = try reader.double("quick mean")
    slow = try reader.double("slow mean")
    count = try reader.double("count")
  }
}
