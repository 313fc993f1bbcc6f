import Synchronization

/// A series of a scrape: label values in the order of the declaration, and a value.
public struct MetricSample: Hashable, Sendable {
  public var labels: [String]
  public var value: Double

  public init(_ labels: [String] = [], _ value: Double) {
    self.labels = labels
    self.value = value
  }
}

/// All series of one declared metric: a child handle per set of label values.
///
/// Callers keep the children that they use often; finding one takes a lock and a hash.
public final class MetricFamily<Child: Sendable>: Sendable {
  public let declaration: MetricDeclaration
  private let make: @Sendable () -> Child
  private let children = Mutex<[[String]: Child]>([:])
  /// What callers get beyond the limit; never exposed.
  private let dropped: Child
  private let countDrop: @Sendable () -> Void

  init(
    _ declaration: MetricDeclaration, countDrop: @escaping @Sendable () -> Void,
    make: @escaping @Sendable () -> Child
  ) {
    self.declaration = declaration
    self.make = make
    self.countDrop = countDrop
    dropped = make()
    // A metric without labels has its only series from the start: 0 is an answer, absence is not.
    if declaration.labels.isEmpty { children.withLock { $0[[]] = make() } }
  }

  /// - Parameter labels: one value per label of the declaration, in its order.
  public func with(_ labels: String...) -> Child { with(labels: labels) }

  public func with(labels: [String]) -> Child {
    precondition(
      labels.count == declaration.labels.count,
      "\(declaration.name) has the labels \(declaration.labels)")
    let child: Child? = children.withLock { children in
      if let known = children[labels] { return known }
      guard children.count < declaration.maxSeries else { return nil }
      let child = make()
      children[labels] = child
      return child
    }
    if let child { return child }
    countDrop()
    return dropped
  }

  /// In order of label values.
  func sorted() -> [(labels: [String], child: Child)] {
    children.withLock { $0.map { (labels: $0.key, child: $0.value) } }
      .sorted { $0.labels.lexicographicallyPrecedes($1.labels) }
  }
}
