public import Events

/// Which events are a step, a return, a touch or a conversion of a question.
public struct TouchSelector: Hashable, Sendable {
  /// One of them; empty for any.
  public var kinds: [EventKind]
  /// The event's name as the client sent it, byte by byte; nil for any.
  public var name: [UInt8]?
  /// All of them hold.
  public var filters: [BreakdownFilter]
  /// Of each of these lists one holds.
  public var alternatives: [[BreakdownFilter]]

  public init(
    kinds: [EventKind] = [], name: [UInt8]? = nil, filters: [BreakdownFilter] = [],
    alternatives: [[BreakdownFilter]] = []
  ) {
    self.kinds = kinds
    self.name = name
    self.filters = filters
    self.alternatives = alternatives
  }

  /// The dimensions that have a say.
  public var asked: [BreakdownDimension] { (filters + alternatives.joined()).map(\.dimension) }

  /// What a person does, and what counts in sessions.
  public static let counted: [EventKind] = [.impression, .view, .click, .engagement, .conversion]

  /// What says who is who, and is no touch.
  static let identityKinds: Set<EventKind> = [.alias, .unlink]

  func admits(kind: UInt8) -> Bool {
    guard let kind = EventKind(rawValue: kind), !Self.identityKinds.contains(kind) else {
      return false
    }
    return kinds.isEmpty || kinds.contains(kind)
  }

  func admits(name: UnsafeRawBufferPointer) -> Bool {
    self.name.map { $0.elementsEqual(name) } ?? true
  }

  /// What holds of an event: of each list one filter does.
  private var conditions: [[BreakdownFilter]] { filters.map { [$0] } + alternatives }

  private static func isOfTuple(_ condition: [BreakdownFilter]) -> Bool {
    condition.allSatisfy { $0.dimension.part == .tuple }
  }

  /// Whether the conditions on values of tuples hold.
  func admits(_ tuple: TupleFields) -> Bool {
    conditions.allSatisfy { condition in
      !Self.isOfTuple(condition)
        || condition.contains { $0.admits(tuple.value(of: $0.dimension)) }
    }
  }

  /// Those that a tuple does not answer.
  var otherConditions: [[BreakdownFilter]] { conditions.filter { !Self.isOfTuple($0) } }
}
