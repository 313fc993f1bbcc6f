/// What people look at next: a blend of popularity, topics, co-visitation and words, refreshed by every visit.
///
///     visit ─▶ counts, pairs with the person's last contents, the person's topics, steps from topic to topic
///           ─▶ weights of the blend: the content that was chosen against a sample of those that were not
///     list  ─▶ features of every content for this person now ─▶ scores ─▶ the best
///
/// Each feature is a logarithm of a share, or of how much more often something is than with everybody (shrunk to
/// none where little is known), so that their weighted sum is that of a chance. What is new has no counts, but
/// topics, format and words: it is in lists from its first visit, or its announcement, on.
///
/// Cost: some 20 µs a visit; a list some 80 ns a content. Sums hang on the order of visits only by rounding and by
/// what bounded tables let go; the blend's weights are those of the order in which visits came. Times in seconds.
public struct ContentRecommender: Sendable {
  public struct Content: Sendable, Equatable {
    /// The first is the main one; below ``topicsMax``.
    public var topics: [Int32] = []
    /// −1 where unknown.
    public var format: Int32 = -1
    /// When it appeared.
    public var since = 0.0
    /// Of ``HashedTextEmbedding``; empty where it has no text.
    public var words: [SIMD16<Float>] = []
    public internal(set) var visits = 0
    public var impressions = 0
    public internal(set) var isThere = true

    public init(
      topics: [Int32] = [], format: Int32 = -1, since: Double = 0, words: [SIMD16<Float>] = []
    ) {
      self.topics = topics
      self.format = format
      self.since = since
      self.words = words
    }
  }

  public struct Visit: Sendable, Equatable {
    public let content: Int32
    public let time: Double

    public init(content: Int32, time: Double) {
      self.content = content
      self.time = time
    }
  }

  /// What is kept of a person.
  public struct Memory: Sendable, Equatable {
    public internal(set) var recent: [Visit] = []
    /// Contents that were visited, the latest last.
    public internal(set) var seen: [Int32] = []
    public internal(set) var topics = FadingProfile()
    var formats = FadingProfile()
    public internal(set) var lastTime = -Double.infinity

    public init() {}

    /// Notes when the person was last there.
    public mutating func touch(_ time: Double) { lastTime = max(lastTime, time) }

    /// Contents that were removed, whose numbers others may get.
    public mutating func forget(_ removed: Set<Int>) {
      recent.removeAll { removed.contains(Int($0.content)) }
      seen.removeAll { removed.contains(Int($0)) }
    }
  }

  public static let topicsMax = 4_096
  public static let formatsMax = 256
  public static let recentMax = 20
  public static let seenMax = 1_024

  private static let hour = 3_600.0
  private static let day = 86_400.0
  /// Half-lives.
  static let tastes = 60 * day
  static let session = hour / 3
  static let near = 2 * day
  /// A later visit is of another session.
  static let pause = hour / 2
  /// Of a person's own visits that count as much as what everybody looks at.
  private static let strength = 15.0
  private static let sessionStrength = 1.0
  private static let stepStrength = 50.0
  /// Backwards pairs weigh less.
  private static let backwards = 0.7
  /// Of each content before, by how far it is back.
  private static let stepBack = 0.9
  private static let furtherTopic = 0.5
  private static let sampleCount = 32
  private static let latestMax = 512

  public private(set) var contents: [Content] = []
  public private(set) var contentCount = 0
  public private(set) var blend: RankingBlend
  private var free: [Int] = []
  private(set) var trending = FadingCounts(halfLife: 12 * hour)
  private(set) var popular = FadingCounts(halfLife: 2 * day)
  private var topicCounts = FadingCounts(halfLife: 7 * day)
  private var formatCounts = FadingCounts(halfLife: 7 * day)
  var pairs = CoVisitation(halfLife: 14 * day)
  var steps = CoVisitation(halfLife: 14 * day)
  private var topicSteps = CoVisitation(halfLife: 30 * day)
  private var topicCount = 1
  private var formatCount = 1
  /// The last visits of all, a ring, and how often each content is in it: what alternatives are drawn from.
  private var latest: [Int32] = []
  private var latestPlace = 0
  private var latestCounts: [Int32] = []
  private var draws = Draws(seed: 1)
  private var scratch = RankingContext()
  private var others: [(features: SIMD16<Float>, count: Float)] = []

  public init(_ weights: SIMD16<Float> = RankingFeature.weightsFirst) {
    blend = RankingBlend(weights)
  }

  // MARK: Contents

  /// - Returns: its number, which may have been another's that was removed.
  public mutating func add(_ content: Content) -> Int {
    contentCount += 1
    note(content)
    if let number = free.popLast() {
      contents[number] = content
      return number
    }
    contents.append(content)
    latestCounts.append(0)
    return contents.count - 1
  }

  /// Changes what is known of a content, not its counts.
  public mutating func update(_ number: Int, _ change: (inout Content) -> Void) {
    change(&contents[number])
    note(contents[number])
  }

  private mutating func note(_ content: Content) {
    for topic in content.topics { topicCount = max(topicCount, Int(topic) + 1) }
    formatCount = max(formatCount, Int(content.format) + 1)
  }

  /// Removes contents that nobody has looked at for longest, in a row of them: all tables are gone through once.
  ///
  /// - Returns: their numbers.
  public mutating func removeLeast(_ count: Int) -> [Int] {
    let there = contents.indices.filter { contents[$0].isThere }
    let least = there.sorted { popular.value($0) < popular.value($1) }.prefix(count)
    let removed = Set(least)
    for number in least {
      trending.remove(number)
      popular.remove(number)
      contents[number] = Content()
      contents[number].isThere = false
      free.append(number)
    }
    pairs.remove { removed.contains($0) }
    steps.remove { removed.contains($0) }
    latest.removeAll(keepingCapacity: true)
    latestPlace = 0
    for number in latestCounts.indices { latestCounts[number] = 0 }
    contentCount -= least.count
    return Array(least)
  }

  // MARK: Visits

  /// Learns from a visit.
  ///
  /// - Parameters:
  ///   - weight: above 0; a click says more than a view.
  ///   - isTeaching: whether the blend learns from it too, which is half of the cost.
  public mutating func visit(
    _ number: Int, by memory: inout Memory, weight: Double, at time: Double,
    isTeaching: Bool = true
  ) {
    if isTeaching, contentCount > 1, latest.count > 1 {
      var context = scratch
      scratch = RankingContext()
      prepare(&context, for: memory, at: time)
      learn(chosen: number, context)
      scratch = context
    }
    count(number, memory, weight: weight, at: time)
    remember(number, in: &memory, weight: weight, at: time)
  }

  /// Takes in that a person came back to a content: it says what is popular and what the person likes, and nothing of
  /// what comes next.
  public mutating func revisit(
    _ number: Int, by memory: inout Memory, weight: Double, at time: Double
  ) {
    trending.add(number, weight, at: time)
    popular.add(number, weight, at: time)
    contents[number].visits += 1
    remember(number, in: &memory, weight: weight, at: time)
  }

  private mutating func count(
    _ number: Int, _ memory: Memory, weight: Double, at time: Double
  ) {
    trending.add(number, weight, at: time)
    popular.add(number, weight, at: time)
    let content = contents[number]
    for (place, topic) in content.topics.enumerated() {
      topicCounts.add(Int(topic), place == 0 ? 1 : Self.furtherTopic, at: time)
    }
    if content.format >= 0 { formatCounts.add(Int(content.format), 1, at: time) }
    if let last = memory.recent.last, (0...Self.pause).contains(time - last.time) {
      steps.add(Int(last.content), then: number, weight: 1, at: time)
      if let from = contents[Int(last.content)].topics.first {
        for (place, topic) in content.topics.enumerated() {
          topicSteps.add(
            Int(from), then: Int(topic), weight: place == 0 ? 1 : Self.furtherTopic, at: time)
        }
      }
    }
    var weight = 1.0
    for before in memory.recent.reversed() {
      let gap = time - before.time
      let worth = weight * Elementary.exp(-gap.magnitude / Self.near * Elementary.ln2)
      weight *= Self.stepBack
      guard worth > 0.001 else { break }
      guard Int(before.content) != number else { continue }
      pairs.add(Int(before.content), then: number, weight: worth, at: time)
      pairs.add(number, then: Int(before.content), weight: Self.backwards * worth, at: time)
    }
    contents[number].visits += 1
    if latest.count < Self.latestMax {
      latest.append(Int32(number))
    } else {
      latestCounts[Int(latest[latestPlace])] -= 1
      latest[latestPlace] = Int32(number)
      latestPlace = (latestPlace + 1) % Self.latestMax
    }
    latestCounts[number] += 1
  }

  func remember(
    _ number: Int, in memory: inout Memory, weight: Double, at time: Double
  ) {
    let content = contents[number]
    for (place, topic) in content.topics.enumerated() {
      memory.topics.add(
        Int(topic), weight * (place == 0 ? 1 : Self.furtherTopic), at: time,
        halfLife: Self.tastes)
    }
    if content.format >= 0 {
      memory.formats.add(Int(content.format), weight, at: time, halfLife: Self.tastes)
    }
    if memory.recent.count == Self.recentMax { memory.recent.removeFirst() }
    // What comes late goes to its place in time.
    var place = memory.recent.count
    while place > 0, memory.recent[place - 1].time > time { place -= 1 }
    memory.recent.insert(Visit(content: Int32(number), time: time), at: place)
    if let known = memory.seen.lastIndex(of: Int32(number)) { memory.seen.remove(at: known) }
    if memory.seen.count == Self.seenMax { memory.seen.removeFirst() }
    memory.seen.append(Int32(number))
    memory.lastTime = max(memory.lastTime, time)
  }

  // MARK: The blend

  private mutating func learn(chosen number: Int, _ context: RankingContext) {
    others.removeAll(keepingCapacity: true)
    // Half of the alternatives are any content, half are among the last visits: the chance of each is known.
    for place in 0..<Self.sampleCount {
      let other =
        place % 2 == 0
        ? Int(draws.next() % UInt64(contents.count))
        : Int(latest[Int(draws.next() % UInt64(latest.count))])
      guard other != number, contents[other].isThere else { continue }
      let chance =
        0.5 / Double(contents.count) + 0.5 * Double(latestCounts[other]) / Double(latest.count)
      others.append(
        (features(of: other, context), Float(1 / (chance * Double(Self.sampleCount)))))
    }
    guard !others.isEmpty else { return }
    blend.learn(chosen: features(of: number, context), others: others)
  }

  // MARK: Features

  /// Prepares what features of contents are worked out from.
  public func prepare(
    _ context: inout RankingContext, for memory: Memory, at time: Double
  ) {
    context.time = time
    context.isKnown = !memory.recent.isEmpty
    context.trending = .init(trending, at: time, things: contentCount)
    context.popular = .init(popular, at: time, things: contentCount)
    let topicShare = RankingContext.Share(topicCounts, at: time, things: topicCount)
    let formatShare = RankingContext.Share(formatCounts, at: time, things: formatCount)
    memory.topics.lifts(
      at: time, halfLife: Self.tastes, strength: Self.strength, count: topicCount,
      share: { topicShare.share($0, of: topicCounts) }, to: &context.topics)
    memory.formats.lifts(
      at: time, halfLife: Self.tastes, strength: Self.strength, count: formatCount,
      share: { formatShare.share($0, of: formatCounts) }, to: &context.formats)
    var session = FadingProfile()
    for visit in memory.recent where time - visit.time < 3 * Self.session {
      guard let topic = contents[Int(visit.content)].topics.first else { continue }
      session.add(Int(topic), 1, at: visit.time, halfLife: Self.session)
    }
    session.lifts(
      at: time, halfLife: Self.session, strength: Self.sessionStrength, count: topicCount,
      share: { topicShare.share($0, of: topicCounts) }, to: &context.sessionTopics)
    prepareFollowers(&context, memory, topicShare)
    prepareWords(&context, memory)
  }

  private func prepareFollowers(
    _ context: inout RankingContext, _ memory: Memory, _ topicShare: RankingContext.Share
  ) {
    let time = context.time
    context.next.reset(count: contents.count)
    context.near.reset(count: contents.count)
    context.nextTopics.removeAll(keepingCapacity: true)
    if let last = memory.recent.last, (0...Self.pause).contains(time - last.time) {
      context.next.add(steps, of: Int(last.content), times: 1, at: time)
      if let from = contents[Int(last.content)].topics.first {
        topicSteps.lifts(
          from: Int(from), at: time, strength: Self.stepStrength, count: topicCount,
          share: { topicShare.share($0, of: topicCounts) }, to: &context.nextTopics)
      }
    }
    if context.nextTopics.isEmpty {
      context.nextTopics.append(contentsOf: repeatElement(0, count: topicCount))
    }
    var weight = 1.0
    for before in memory.recent.reversed() {
      let gap = max(0, time - before.time)
      let worth = weight * Elementary.exp(-gap / Self.near * Elementary.ln2)
      weight *= Self.stepBack
      guard worth > 0.001 else { break }
      context.near.add(pairs, of: Int(before.content), times: worth, at: time)
    }
    context.next.finish()
    context.near.finish()
  }

  private func prepareWords(_ context: inout RankingContext, _ memory: Memory) {
    context.words.removeAll(keepingCapacity: true)
    for visit in memory.recent {
      let words = contents[Int(visit.content)].words
      guard !words.isEmpty else { continue }
      if context.words.isEmpty {
        context.words = words
      } else {
        for place in words.indices { context.words[place] += words[place] }
      }
    }
    let length = HashedTextEmbedding.cosine(context.words, context.words).squareRoot()
    if length > 0 { for place in context.words.indices { context.words[place] /= length } }
  }

  /// The parts of a content's score, by ``RankingFeature/rawValue``.
  public func features(of number: Int, _ context: borrowing RankingContext) -> SIMD16<Float> {
    let content = contents[number]
    var features = SIMD16<Float>(repeating: 0)
    let popularity = context.popular.share(number, of: popular)
    features[RankingFeature.trending.rawValue] = Float(
      Elementary.log(context.trending.share(number, of: trending)))
    features[RankingFeature.popular.rawValue] = Float(Elementary.log(popularity))
    let age = max(0, context.time - content.since)
    features[RankingFeature.new.rawValue] = Float(Elementary.exp(-age / (6 * Self.hour)))
    features[RankingFeature.age.rawValue] = -Float(min(age / (10 * Self.day), 6))
    if let main = content.topics.first {
      features[RankingFeature.topic.rawValue] = context.topics[Int(main)]
      features[RankingFeature.sessionTopic.rawValue] = context.sessionTopics[Int(main)]
      features[RankingFeature.nextTopic.rawValue] = context.nextTopics[Int(main)]
      let further = content.topics.count - 1
      if further > 0 {
        var (taste, step): (Float, Float) = (0, 0)
        for topic in content.topics.dropFirst() {
          taste += context.topics[Int(topic)]
          step += context.nextTopics[Int(topic)]
        }
        features[RankingFeature.furtherTopics.rawValue] = taste / Float(further)
        features[RankingFeature.nextFurtherTopics.rawValue] = step / Float(further)
      }
    }
    if content.format >= 0 {
      features[RankingFeature.format.rawValue] = context.formats[Int(content.format)]
    }
    features[RankingFeature.next.rawValue] = context.next.lift(number, share: popularity)
    features[RankingFeature.coVisited.rawValue] = context.near.lift(number, share: popularity)
    if !context.words.isEmpty, !content.words.isEmpty {
      features[RankingFeature.similar.rawValue] = HashedTextEmbedding.cosine(
        content.words, context.words)
    }
    return features
  }
}
