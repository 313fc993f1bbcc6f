extension ContentRecommender {
  /// The memory of somebody of whom only a session is known: contents, the latest last, up to now.
  public func memory(session: [Int], at time: Double) -> Memory {
    var memory = Memory()
    for (place, number) in session.enumerated() {
      // A second apart, so that they keep their order.
      remember(number, in: &memory, weight: 1, at: time - Double(session.count - 1 - place))
    }
    return memory
  }

  /// Many persons as one: what all of them like, and the last that any of them has visited. Nothing counts as seen.
  public func memory(merging memories: [Memory], at time: Double) -> Memory {
    var merged = Memory()
    for memory in memories {
      merged.topics.add(memory.topics, at: time, halfLife: Self.tastes)
      merged.formats.add(memory.formats, at: time, halfLife: Self.tastes)
      merged.lastTime = max(merged.lastTime, memory.lastTime)
    }
    merged.recent = Array(
      memories.flatMap(\.recent).filter { $0.content >= 0 }.sorted {
        ($0.time, $0.content) < ($1.time, $1.content)
      }
      .suffix(Self.recentMax))
    return merged
  }

  /// Which of the person's last contents speaks most for another one, because others have looked at both.
  public func source(of number: Int, in memory: Memory, at time: Double) -> Int? {
    var best: (number: Int?, value: Double) = (nil, 0)
    for visit in memory.recent where visit.content >= 0 && Int(visit.content) != number {
      let fading = Elementary.exp(-max(0, time - visit.time) / Self.near * Elementary.ln2)
      let value = fading * pairs.weight(of: Int(visit.content), then: number, at: time)
      if value > best.value { best = (Int(visit.content), value) }
    }
    return best.number
  }

  /// Contents in order of their share of all visits of late, for comparison.
  public func mostPopular(_ count: Int, leavingOut seen: [Int32]) -> [Int] {
    var best: [Int] = []
    let isOut = Set(seen)
    for number in contents.indices where contents[number].isThere && !isOut.contains(Int32(number))
    {
      if best.count == count {
        guard let last = best.last, popular.value(number) > popular.value(last) else { continue }
        best.removeLast()
      }
      var place = best.count
      while place > 0, popular.value(best[place - 1]) < popular.value(number) { place -= 1 }
      best.insert(number, at: place)
    }
    return best
  }

  /// Means of the features over a sample of the contents: what a content's own are compared with.
  public func meanFeatures(_ context: borrowing RankingContext) -> SIMD16<Float> {
    let step = max(1, contents.count / Self.meanSampleCount)
    var (sum, count) = (SIMD16<Float>(repeating: 0), Float(0))
    for number in stride(from: 0, to: contents.count, by: step) where contents[number].isThere {
      sum += features(of: number, context)
      count += 1
    }
    return count > 0 ? sum / count : sum
  }

  private static let meanSampleCount = 256

  /// How alike two contents are: their words where both have some, else shared topics, 0 to 1.
  public func likeness(_ a: Int, _ b: Int) -> Double {
    let (a, b) = (contents[a], contents[b])
    if !a.words.isEmpty, !b.words.isEmpty {
      return Double(max(0, HashedTextEmbedding.cosine(a.words, b.words)))
    }
    guard !a.topics.isEmpty, !b.topics.isEmpty else { return 0 }
    let shared = a.topics.filter { b.topics.contains($0) }.count
    return Double(shared) / Double(a.topics.count + b.topics.count - shared)
  }

  func prepareWords(_ context: inout RankingContext, _ memory: Memory) {
    context.words.removeAll(keepingCapacity: true)
    for visit in memory.recent where visit.content >= 0 {
      let words = contents[Int(visit.content)].words
      guard !words.isEmpty else { continue }
      // A text of which only words are known is shorter than one whose meaning is known too.
      while context.words.count < words.count { context.words.append(.zero) }
      for place in words.indices { context.words[place] += words[place] }
    }
    let length = HashedTextEmbedding.cosine(context.words, context.words).squareRoot()
    if length > 0 { for place in context.words.indices { context.words[place] /= length } }
  }
}
