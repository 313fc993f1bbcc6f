/// How much of each of a few things somebody has looked at, with what is old fading: a person's topics, or formats.
///
/// Values halve after each half-life of event time; what comes late has the weight that it would have had in time.
/// At most ``entriesMax`` things: the least of them goes for a new one. Cost: 8 bytes each.
public struct FadingProfile: Sendable, Equatable {
  public static let entriesMax = 32

  public private(set) var things: [Int32] = []
  private(set) var values: [Float] = []
  /// Of all that was added, kept or not.
  private(set) var total: Float = 0
  /// When the values are what they are, seconds.
  private var moment = -Double.infinity

  public init() {}

  public mutating func add(_ thing: Int, _ weight: Double, at time: Double, halfLife: Double) {
    let weight = Float(advance(to: time, halfLife: halfLife) * weight)
    total += weight
    if let place = things.firstIndex(of: Int32(thing)) {
      values[place] += weight
    } else if things.count < Self.entriesMax {
      things.append(Int32(thing))
      values.append(weight)
    } else {
      var least = 0
      for place in values.indices where values[place] < values[least] { least = place }
      things[least] = Int32(thing)
      values[least] = weight
    }
  }

  /// Adds another one's values, as they are at a time.
  mutating func add(_ other: Self, at time: Double, halfLife: Double) {
    let factor = other.factor(at: time, halfLife: halfLife)
    for (place, thing) in other.things.enumerated() {
      add(Int(thing), Double(other.values[place]) * factor, at: time, halfLife: halfLife)
    }
  }

  /// What a value is to be multiplied with at a time that is not before the last addition.
  func factor(at time: Double, halfLife: Double) -> Double {
    total == 0 ? 1 : Elementary.exp(-max(0, time - moment) / halfLife * Elementary.ln2)
  }

  /// - Returns: the weight of what happens at this time.
  private mutating func advance(to time: Double, halfLife: Double) -> Double {
    guard moment > -.infinity else {
      moment = time
      return 1
    }
    if time < moment { return Elementary.exp((time - moment) / halfLife * Elementary.ln2) }
    let factor = Float(factor(at: time, halfLife: halfLife))
    for place in values.indices { values[place] *= factor }
    total *= factor
    moment = time
    return 1
  }

  // MARK: Against everybody

  /// How much more of each thing there is here than with everybody: ln of the ratio of shares, drawn to 1 as if
  /// `strength` more had been looked at as everybody does.
  ///
  /// - Parameters:
  ///   - share: of a thing with everybody, above 0.
  ///   - lifts: written for the first `count` things.
  func lifts(
    at time: Double, halfLife: Double, strength: Double, count: Int,
    share: (Int) -> Double, to lifts: inout [Float]
  ) {
    let factor = factor(at: time, halfLife: halfLife)
    let all = Double(total) * factor + strength
    lifts.removeAll(keepingCapacity: true)
    lifts.append(contentsOf: repeatElement(Float(Elementary.log(strength / all)), count: count))
    for (place, thing) in things.enumerated() where Int(thing) < count {
      let share = share(Int(thing))
      lifts[Int(thing)] = Float(
        Elementary.log((Double(values[place]) * factor / share + strength) / all))
    }
  }
}
