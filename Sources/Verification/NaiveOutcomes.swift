public import Events
public import Views

/// What persons' touches come to, by definition: looked at all at once, in order of time and key.
public struct NaiveOutcomes {
  public struct Place: Hashable {
    public var tuple: DimensionTuple
    public var window: Int64

    public init(tuple: DimensionTuple, window: Int64) {
      self.tuple = tuple
      self.window = window
    }
  }

  public struct Fact {
    public var person: Int
    public var time: Int64
    public var key: Key128
    public var kind: EventKind
    public var tuple: DimensionTuple
    public var revenue: Int64
    /// Who it has been of, one after the other; none where it was always the same. What had left state
    /// when two became one is of neither that nor any later one.
    public var groups: [Int] = []

    public init(
      person: Int, time: Int64, key: Key128, kind: EventKind, tuple: DimensionTuple, revenue: Int64
    ) {
      self.person = person
      self.time = time
      self.key = key
      self.kind = kind
      self.tuple = tuple
      self.revenue = revenue
    }

    /// Whether the two were ever looked at together.
    func meets(_ other: Fact) -> Bool {
      groups.isEmpty || other.groups.isEmpty || groups.contains { other.groups.contains($0) }
    }
  }

  public private(set) var sums: [Place: Outcomes] = [:]

  /// - Parameter watermark: sessions whose end plus gap lies in a ten-second step before its step are
  ///   closed.
  public init(_ facts: [Fact], _ policy: PersonPolicy, watermark: Int64) {
    for unordered in Dictionary(grouping: facts, by: \.person).values {
      let own = unordered.sorted { ($0.time, $0.key) < ($1.time, $1.key) }
      var sessions: [[Fact]] = []
      for fact in own {
        if let session = Self.session(of: fact, in: sessions, gap: policy.sessionGap) {
          sessions[session].append(fact)
        } else {
          sessions.append([fact])
        }
      }
      for session in sessions {
        let first = session[0]
        let end = session[session.count - 1].time
        let isClosed = Self.step(end + policy.sessionGap) < Self.step(watermark)
        add(
          first.tuple, first.time,
          Outcomes(
            sessions: 1, bounces: session.count == 1 ? 1 : 0,
            sessionMicros: isClosed ? end - first.time : 0))
      }
      for click in own where click.kind == .click {
        let isAttributed = own.contains {
          $0.kind == .impression && $0.time <= click.time
            && $0.time >= click.time - policy.impressionLookBack
            && ($0.tuple.site, $0.tuple.campaign, $0.tuple.content)
              == (click.tuple.site, click.tuple.campaign, click.tuple.content)
            && $0.meets(click)
        }
        if isAttributed { add(click.tuple, click.time, Outcomes(attributedClicks: 1)) }
      }
      for conversion in own where conversion.kind == .conversion {
        let click = Self.click(of: conversion, in: own, lookBack: policy.clickLookBack)
        guard var tuple = click?.tuple else { continue }
        tuple.currency = conversion.tuple.currency
        add(
          tuple, conversion.time,
          Outcomes(attributedConversions: 1, attributedRevenueMicros: conversion.revenue))
      }
    }
    sums = sums.filter { !$0.value.isZero }
  }

  /// The session begun last that a touch goes on with. One begun later may be over before one begun
  /// earlier: a person may have been two, until an alias said that they are one.
  private static func session(of fact: Fact, in sessions: [[Fact]], gap: Int64) -> Int? {
    sessions.lastIndex { session in
      fact.time - session[session.count - 1].time <= gap && session.contains(where: fact.meets)
    }
  }

  /// The click that a conversion is the result of. One that had left state when its person became
  /// another's stays so, though that one has a later click.
  private static func click(of conversion: Fact, in own: [Fact], lookBack: Int64) -> Fact? {
    func latest(_ isCandidate: (Fact) -> Bool) -> Fact? {
      own.last {
        $0.kind == .click && $0.time <= conversion.time && $0.time >= conversion.time - lookBack
          && isCandidate($0)
      }
    }
    if conversion.groups.isEmpty { return latest { _ in true } }
    var found: Fact?
    for group in conversion.groups {
      if let found, !found.groups.contains(group) { return found }
      found = latest { $0.groups.contains(group) }
    }
    return found
  }

  public static func step(_ time: Int64) -> Int64 {
    time / 10_000_000 - (time % 10_000_000 < 0 ? 1 : 0)
  }

  private mutating func add(_ tuple: DimensionTuple, _ time: Int64, _ outcomes: Outcomes) {
    let place = Place(tuple: tuple, window: Self.step(time) * 10_000_000)
    sums[place, default: Outcomes()] += outcomes
  }
}
