/// What those who looked at one content looked at before and after it, with what is old fading.
///
///     a ─▶ b ─▶ c     a→b, b→c near, a→c farther; backwards the same, with less weight
///
/// One row an item: its neighbours and their weights, halved after each half-life of event time. Weights are kept as
/// if seen from a fixed moment, so that fading costs nothing; from time to time all are moved to a later one. A row
/// has at most ``neighboursMax``: the least of them goes for a new one.
///
/// After Sarwar et al. 2001 (item to item) and Garg et al. 2019 ("Sequence and time aware neighborhood"). Cost: a
/// scan of the row's numbers for an added pair, some 50 ns; 8 bytes a pair. Fails for what is new: nobody has gone
/// on from it yet.
public struct CoVisitation: Sendable, Equatable {
  struct Row: Sendable, Equatable {
    var items: [Int32] = []
    var weights: [Float] = []
    /// Of all that was added, kept or not.
    var total: Float = 0
  }

  public static let neighboursMax = 256
  /// After so many half-lives all weights are moved: 2^40 is far within a `Float`.
  private static let halfLivesMax = 40.0

  private var rows: [Row] = []
  private let halfLife: Double
  /// The moment from which weights are seen, seconds.
  private var origin = 0.0

  /// - Parameter halfLife: seconds.
  public init(halfLife: Double) { self.halfLife = halfLife }

  /// Adds to how often `next` follows `item`.
  public mutating func add(_ item: Int, then next: Int, weight: Double, at time: Double) {
    let grown = Float(weight * growth(at: time))
    while rows.count <= item { rows.append(Row()) }
    rows[item].add(Int32(next), grown)
  }

  /// Adds what follows an item to `sums`, by item.
  ///
  /// - Returns: of all that followed it.
  func addFollowers(
    of item: Int, times weight: Double, at time: Double, to sums: inout [Float]
  ) -> Double {
    guard item < rows.count else { return 0 }
    let faded = Float(weight * fading(at: time))
    let row = rows[item]
    for (place, next) in row.items.enumerated() where Int(next) < sums.count {
      sums[Int(next)] += row.weights[place] * faded
    }
    return Double(row.total * faded)
  }

  /// How often `next` followed an item, faded.
  public func weight(of item: Int, then next: Int, at time: Double) -> Double {
    guard item < rows.count, let place = rows[item].items.firstIndex(of: Int32(next)) else {
      return 0
    }
    return Double(rows[item].weights[place]) * fading(at: time)
  }

  /// Forgets items, whose numbers others may get.
  public mutating func remove(_ isRemoved: (Int) -> Bool) {
    for item in rows.indices {
      if isRemoved(item) {
        rows[item] = Row()
      } else {
        rows[item].remove(isRemoved)
      }
    }
  }

  private func fading(at time: Double) -> Double {
    Elementary.exp((origin - time) / halfLife * Elementary.ln2)
  }

  private mutating func growth(at time: Double) -> Double {
    if origin == 0 { origin = time }
    if time - origin > halfLife * Self.halfLivesMax {
      let factor = Float(fading(at: time))
      for item in rows.indices { rows[item].scale(by: factor) }
      origin = time
    }
    return Elementary.exp((time - origin) / halfLife * Elementary.ln2)
  }
}

extension CoVisitation.Row {
  mutating func add(_ item: Int32, _ weight: Float) {
    total += weight
    if let place = items.firstIndex(of: item) {
      weights[place] += weight
    } else if items.count < CoVisitation.neighboursMax {
      items.append(item)
      weights.append(weight)
    } else {
      var least = 0
      for place in weights.indices where weights[place] < weights[least] { least = place }
      items[least] = item
      weights[least] = weight
    }
  }

  mutating func scale(by factor: Float) {
    for place in weights.indices { weights[place] *= factor }
    total *= factor
  }

  mutating func remove(_ isRemoved: (Int) -> Bool) {
    for place in items.indices.reversed() where isRemoved(Int(items[place])) {
      total -= weights[place]
      items.remove(at: place)
      weights.remove(at: place)
    }
    total = max(total, 0)
  }
}

extension CoVisitation {
  /// How much more often than by chance each thing follows one: ln of the ratio, drawn to none as if `strength` more
  /// had followed by chance.
  func lifts(
    from item: Int, at time: Double, strength: Double, count: Int, share: (Int) -> Double,
    to lifts: inout [Float]
  ) {
    var sums = [Float](repeating: 0, count: count)
    let all = addFollowers(of: item, times: 1, at: time, to: &sums) + strength
    lifts.removeAll(keepingCapacity: true)
    for thing in 0..<count {
      lifts.append(
        Float(Elementary.log((Double(sums[thing]) / share(thing) + strength) / all)))
    }
  }
}
