/// A content's place in a list, and what it is made of.
public struct RankedContent: Sendable, Equatable {
  public var number: Int
  public var score: Float
  /// See ``RankingFeature``.
  public var features: SIMD16<Float>

  public init(number: Int, score: Float, features: SIMD16<Float>) {
    self.number = number
    self.score = score
    self.features = features
  }
}

extension ContentRecommender {
  /// The contents with the highest scores that the person has not seen, the best first.
  ///
  /// - Parameter isAllowed: by number.
  public func list(
    for memory: Memory, count: Int, at time: Double, includesSeen: Bool = false,
    using context: inout RankingContext, isAllowed: (Int) -> Bool = { _ in true }
  ) -> [RankedContent] {
    prepare(&context, for: memory, at: time)
    return list(
      context, count: count, leavingOut: includesSeen ? [] : memory.seen, isAllowed: isAllowed)
  }

  /// - Parameter context: prepared by ``prepare(_:for:at:)``.
  public func list(
    _ context: borrowing RankingContext, count: Int, leavingOut seen: [Int32],
    isAllowed: (Int) -> Bool = { _ in true }
  ) -> [RankedContent] {
    var isOut = [Bool](repeating: false, count: contents.count)
    for number in seen { isOut[Int(number)] = true }
    // In order of score, of equal ones by number.
    var best: [RankedContent] = []
    best.reserveCapacity(count + 1)
    for number in contents.indices
    where !isOut[number] && contents[number].isThere && isAllowed(number) {
      let features = features(of: number, context)
      let score = blend.score(features)
      if best.count == count {
        guard let last = best.last, score > last.score else { continue }
        best.removeLast()
      }
      var place = best.count
      while place > 0, best[place - 1].score < score { place -= 1 }
      best.insert(RankedContent(number: number, score: score, features: features), at: place)
    }
    return best
  }
}
