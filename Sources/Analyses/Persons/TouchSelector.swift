public import Events

/// Which events are a step, a return, a touch or a conversion of a question.
public struct TouchSelector: Hashable, Sendable {
  /// One of them; empty for any.
  public var kinds: [EventKind]
  /// The event's name as the client sent it, byte by byte; nil for any.
  public var name: [UInt8]?
  /// All of them hold.
  public var filters: [BreakdownFilter]

  public init(kinds: [EventKind] = [], name: [UInt8]? = nil, filters: [BreakdownFilter] = []) {
    self.kinds = kinds
    self.name = name
    self.filters = filters
  }

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

  /// Whether the filters on values of tuples hold.
  func admits(_ tuple: TupleFields) -> Bool {
    filters.allSatisfy { filter in
      filter.dimension.part != .tuple || filter.admits(tuple.value(of: filter.dimension))
    }
  }

  /// Those that a tuple does not answer.
  var otherFilters: [BreakdownFilter] { filters.filter { $0.dimension.part != .tuple } }
}
