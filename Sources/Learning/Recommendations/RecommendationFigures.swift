/// How good the lists are, measured on people as they come: before a visit is learned, whether it would have been in
/// the list of ten.
public struct RecommendationFigures: Sendable, Equatable {
  public var visits = 0
  public private(set) var tests = 0
  /// Of late: see ``testsMemory``.
  public private(set) var hitRate = 0.0
  /// The same of the ten that are visited most, for comparison.
  public private(set) var popularHitRate = 0.0
  public var forgottenPersons = 0
  public var forgottenContents = 0
  /// When each content was last in a list that was tested, seconds.
  private var listedAt: [Int: Double] = [:]

  /// Of this many tests back a test has a third of the weight.
  private static let testsMemory = 2_000.0
  private static let day = 86_400.0

  public init() {}

  mutating func test(isHit: Bool, isPopular: Bool, listed: [Int], at time: Double) {
    tests += 1
    let pace = max(1 / Double(tests), 1 / Self.testsMemory)
    hitRate += pace * ((isHit ? 1 : 0) - hitRate)
    popularHitRate += pace * ((isPopular ? 1 : 0) - popularHitRate)
    for number in listed { listedAt[number] = max(time, listedAt[number] ?? time) }
  }

  mutating func forget(_ contents: Set<Int>) {
    for number in contents { listedAt[number] = nil }
  }

  /// How many contents were in a tested list within the day before.
  public func listed(at time: Double) -> Int {
    listedAt.values.count { $0 > time - Self.day }
  }
}
