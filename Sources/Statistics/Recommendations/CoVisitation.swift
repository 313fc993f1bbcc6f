/// What those who looked at one content looked at before and after it, with what is old fading.
///
///     a ─▶ b ─▶ c     a→b, b→c near, a→c farther; backwards the same, with less weight
///
/// One row an item: its neighbours and their weights, halved after each half-life of event time, as whole numbers, so that
/// what somebody added can be taken back without a trace (``FadingScale``). A row has at most ``neighboursMax``: the
/// least of them goes for a new one, and nothing of it can be taken back.
///
/// After Sarwar et al. 2001 (item to item) and Garg et al. 2019 ("Sequence and time aware neighborhood"). Cost: a
/// scan of the row's numbers for an added pair, some 50 ns; 12 bytes a pair, 20 in the epoch after it. Fails for
/// what is new: nobody has gone on from it yet.
public struct CoVisitation: Sendable, Equatable {
  struct Row: Sendable {
    var items: [Int32] = []
    /// Of the present epoch.
    var weights: [Int64] = []
    /// Of the epoch before; empty where there is nothing of it.
    var older: [Int64] = []
    /// Of all that was added, kept or not.
    var total = FadingScale.Total()
  }

  public static let neighboursMax = 256

  private var rows: [Row] = []
  private var scale: FadingScale

  /// - Parameter halfLife: seconds.
  public init(halfLife: Double) { scale = FadingScale(halfLife: halfLife) }

  /// Adds to how often `next` follows `item`.
  ///
  /// - Parameter weight: below 0 takes back what was added with the same time.
  public mutating func add(_ item: Int, then next: Int, weight: Double, at time: Double) {
    let (aged, addend) = scale.addend(weight, at: time)
    if aged > 0 { for item in rows.indices { rows[item].age(by: aged) } }
    while rows.count <= item { rows.append(Row()) }
    if let addend { rows[item].add(Int32(next), addend) }
  }

  /// Adds what follows an item to `sums`, by item.
  ///
  /// - Returns: of all that followed it.
  func addFollowers(
    of item: Int, times weight: Double, at time: Double, to sums: inout [Float]
  ) -> Double {
    guard item < rows.count else { return 0 }
    let faded = Float(weight * scale.factor(at: time))
    let row = rows[item]
    for (place, next) in row.items.enumerated() where Int(next) < sums.count {
      sums[Int(next)] += row.value(place) * faded
    }
    return row.total.value * Double(faded)
  }

  /// How often `next` followed an item, faded.
  public func weight(of item: Int, then next: Int, at time: Double) -> Double {
    guard item < rows.count, let place = rows[item].items.firstIndex(of: Int32(next)) else {
      return 0
    }
    return Double(rows[item].value(place)) * scale.factor(at: time)
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

  /// Of their sums, whatever the order of neighbours; rows without any are none.
  public static func == (left: Self, right: Self) -> Bool {
    guard left.scale == right.scale else { return false }
    let none = Row()
    return (0..<max(left.rows.count, right.rows.count)).allSatisfy { item in
      (item < left.rows.count ? left.rows[item] : none).isEqual(
        to: item < right.rows.count ? right.rows[item] : none)
    }
  }
}

extension CoVisitation.Row {
  @inline(__always)
  func value(_ place: Int) -> Float {
    let present = Float(weights[place])
    return older.isEmpty ? present : present + Float(older[place]) * Float(FadingScale.epochFactor)
  }

  private func sum(_ place: Int) -> FadingScale.Sum {
    FadingScale.Sum(present: weights[place], older: older.isEmpty ? 0 : older[place])
  }

  mutating func add(_ item: Int32, _ addend: FadingScale.Addend) {
    total.add(addend)
    if !addend.isPresent, older.isEmpty { older = [Int64](repeating: 0, count: items.count) }
    if let place = items.firstIndex(of: item) {
      if addend.isPresent {
        weights[place] = FadingScale.added(weights[place], addend.units)
      } else {
        older[place] = FadingScale.added(older[place], addend.units)
      }
      // What was let go and came back has less than is taken back.
      if value(place) <= 0 { remove(at: place) }
      return
    }
    guard addend.units > 0 else { return }
    if items.count == CoVisitation.neighboursMax {
      var least = 0
      for place in weights.indices where value(place) < value(least) { least = place }
      remove(at: least)
    }
    items.append(item)
    weights.append(addend.isPresent ? addend.units : 0)
    if !older.isEmpty || !addend.isPresent { older.append(addend.isPresent ? 0 : addend.units) }
  }

  private mutating func remove(at place: Int) {
    items.remove(at: place)
    weights.remove(at: place)
    if !older.isEmpty { older.remove(at: place) }
  }

  mutating func age(by epochs: Int) {
    total.age(by: epochs)
    guard epochs == 1 else {
      (items, weights, older) = ([], [], [])
      return
    }
    older = weights
    for place in weights.indices { weights[place] = 0 }
    for place in items.indices.reversed() where older[place] <= 0 { remove(at: place) }
  }

  mutating func remove(_ isRemoved: (Int) -> Bool) {
    for place in items.indices.reversed() where isRemoved(Int(items[place])) {
      total.remove(sum(place))
      remove(at: place)
    }
  }

  func isEqual(to other: Self) -> Bool {
    guard total == other.total, items.count == other.items.count else { return false }
    return items.indices.allSatisfy { place in
      guard let there = other.items.firstIndex(of: items[place]) else { return false }
      return sum(place) == other.sum(there)
    }
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
