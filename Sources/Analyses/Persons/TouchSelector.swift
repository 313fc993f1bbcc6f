public import Events

/// Which events are a step, a return, a touch or a conversion of a question.
public struct TouchSelector: Hashable, Sendable {
  /// One of them; empty for any.
  public var kinds: [EventKind]
  /// The event's name as the client sent it, byte by byte; nil for any.
  public var name: [UInt8]?
  /// Of the dimensions of tuples; all of them hold.
  public var filters: [BreakdownFilter]

  public init(kinds: [EventKind] = [], name: [UInt8]? = nil, filters: [BreakdownFilter] = []) {
    precondition(filters.allSatisfy { $0.dimension.part == .tuple }, "touches are told by tuples")
    self.kinds = kinds
    self.name = name
    self.filters = filters
  }

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

  func admits(_ tuple: TupleFields) -> Bool {
    filters.allSatisfy { filter in
      guard let dimension = Dimension(name: filter.dimension.rawValue) else { return false }
      return filter.admits(tuple[dimension])
    }
  }
}
