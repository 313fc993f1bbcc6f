public import Events

/// One event of a person, as a question about persons sees it.
public struct PersonTouch: Hashable, Sendable, BitwiseCopyable {
  /// Microseconds since the epoch.
  public var time: Int64
  public var key: Key128
  /// Bit i: it is what selector i of the question asks for.
  public var marks: UInt32
  /// Number of its values of the question's dimensions; see ``PersonHistory/values(of:)``.
  public var value: UInt32
  /// Millionths of its currency.
  public var revenueMicros: Int64
  /// Number of its currency.
  public var currency: UInt32
  /// Place in ``PersonHistory/groups``; 0 for none.
  public var group: UInt32

  public init(
    time: Int64, key: Key128, marks: UInt32, value: UInt32 = 0, revenueMicros: Int64 = 0,
    currency: UInt32 = 0, group: UInt32 = 0
  ) {
    self.time = time
    self.key = key
    self.marks = marks
    self.value = value
    self.revenueMicros = revenueMicros
    self.currency = currency
    self.group = group
  }

  /// The order of a history: time, then key.
  static func precedes(_ a: PersonTouch, _ b: PersonTouch) -> Bool {
    a.time != b.time ? a.time < b.time : a.key < b.key
  }
}

/// The touches of one person in order of time and key, each once.
public struct PersonHistory: Sendable {
  public let touches: [PersonTouch]
  /// Who a touch has been of, one after the other, where users became one while it was known; see
  /// ``PersonResolver``. The first is of those that never did.
  public let groups: [[UInt32]]

  /// By the number in a touch, the values that it counts for; empty where each number is a value itself.
  private let lists: [[UInt32]]

  /// - Parameter touches: in any order; of those with the same time and key one is kept.
  public init(
    _ touches: [PersonTouch], groups: [[UInt32]] = [[]], lists: [[UInt32]] = []
  ) {
    var ordered: [PersonTouch] = []
    ordered.reserveCapacity(touches.count)
    for touch in touches.sorted(by: PersonTouch.precedes) {
      if let last = ordered.last, last.time == touch.time, last.key == touch.key { continue }
      ordered.append(touch)
    }
    self.touches = ordered
    self.groups = groups
    self.lists = lists
  }

  /// The values of the question's dimensions that a touch counts for: several where its person was in several
  /// segments.
  public func values(of touch: PersonTouch) -> [UInt32] {
    lists.isEmpty ? [touch.value] : lists[Int(touch.value)]
  }
}

/// What is made of the histories of persons, one after the other in any order.
public protocol PersonFold: Sendable {
  mutating func add(_ history: PersonHistory)
}
