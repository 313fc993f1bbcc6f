/// How far the last values are from all that were seen, kept as few prototypes.
///
/// Leader clustering (Hartigan 1975) on delay vectors, as in adaptive resonance (Carpenter, Grossberg, Rosen 1991,
/// "Fuzzy ART"): a vector within 2 % of the range of its nearest prototype moves it a tenth of the way, another
/// becomes a prototype itself, in place of the one that was not met for longest. The distance is the mean of
/// the coordinates', in units of the range so far. Cost: one pass over at most 100 prototypes, some 0.1 µs, 1.6 kB
/// for two coordinates. Fails for slow drifts, each step of which is near the last, and in series whose noise
/// fills the range.
struct PrototypeNovelty: Sendable, Equatable {
  static let prototypesMax = 100
  /// Of the range: as many prototypes as cover it twice over.
  private static let radius = 0.02
  private static let gain = 0.1

  /// Coordinates: the value, and the one before it where there are two.
  let width: Int
  private var last: [Double] = []
  private var lower = Double.infinity
  private var upper = -Double.infinity
  /// Coordinate by coordinate, so that the search runs over neighbours in memory.
  private var prototypes: [[Double]]
  private var met: [UInt64] = []
  private var count: UInt64 = 0

  /// - Parameter width: 1 or 2.
  init(width: Int) {
    self.width = width
    prototypes = Array(repeating: [], count: width)
  }

  /// - Returns: The distance to the nearest prototype as a share of the range; 0 for the first.
  mutating func distance(of value: Double) -> Double {
    lower = min(lower, value)
    upper = max(upper, value)
    last.append(value)
    if last.count > width { last.removeFirst() }
    count += 1
    guard last.count == width else { return 0 }
    guard let (place, distance) = nearest() else {
      add()
      return 0
    }
    let share = distance / (Double(width) * max(upper - lower, 1e-12))
    if share > Self.radius {
      add()
    } else {
      met[place] = count
      for index in 0..<width {
        prototypes[index][place] += Self.gain * (last[index] - prototypes[index][place])
      }
    }
    return share
  }

  private func nearest() -> (place: Int, distance: Double)? {
    guard !met.isEmpty else { return nil }
    var best = Double.infinity
    var place = 0
    let first = last[0]
    let second = width == 2 ? last[1] : 0
    prototypes[0].withUnsafeBufferPointer { a in
      prototypes[width - 1].withUnsafeBufferPointer { b in
        for index in 0..<a.count {
          let distance =
            width == 2
            ? (a[index] - first).magnitude + (b[index] - second).magnitude
            : (a[index] - first).magnitude
          if distance < best {
            best = distance
            place = index
          }
        }
      }
    }
    return (place, best)
  }

  private mutating func add() {
    if met.count < Self.prototypesMax {
      for index in 0..<width { prototypes[index].append(last[index]) }
      met.append(count)
      return
    }
    var oldest = 0
    for index in 1..<met.count where met[index] < met[oldest] { oldest = index }
    for index in 0..<width { prototypes[index][oldest] = last[index] }
    met[oldest] = count
  }

  func write(to writer: inout SketchWriter) {
    writer.put(count)
    writer.put(lower)
    writer.put(upper)
    writer.put(UInt64(last.count))
    for value in last { writer.put(value) }
    writer.put(UInt64(met.count))
    for place in met.indices {
      writer.put(met[place])
      for index in 0..<width { writer.put(prototypes[index][place]) }
    }
  }

  mutating func read(_ reader: inout SketchReader) throws(SketchError) {
    let start = reader.place
    count = try reader.number("count")
    guard count < 1 << 53 else { throw .damaged(field: "count", at: start) }
    lower = try reader.double("lower")
    upper = try reader.double("upper")
    let begin = reader.place
    let lastCount = try reader.number("values")
    guard lastCount <= UInt64(width) else { throw .damaged(field: "values", at: begin) }
    last = []
    for _ in 0..<lastCount { last.append(try reader.double("value")) }
    let at = reader.place
    let size = try reader.number("prototypes")
    guard size <= UInt64(Self.prototypesMax) else { throw .damaged(field: "prototypes", at: at) }
    met = []
    prototypes = Array(repeating: [], count: width)
    for _ in 0..<size {
      met.append(try reader.number("prototype"))
      for index in 0..<width { prototypes[index].append(try reader.double("coordinate")) }
    }
  }
}
