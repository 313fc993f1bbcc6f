public import Events
public import Statistics

/// When to post, by site, with the data behind it.
public struct TimingModels: Sendable {
  public let progress: LearningProgress
  public let sites: [String: Site]
  /// Posts whose day is not over, and posts whose times nobody drew.
  public let pending: Int
  public let undrawn: Int
  public let turnedAway: UInt64

  /// A post whose day is over.
  public struct Post: Sendable, Equatable {
    public var content: String
    /// Microseconds since the epoch.
    public var at: Int64
    public var engagements: Int
    /// The frame of the log that says it.
    public var position: Position
  }

  public struct Site: Sendable {
    /// By number, sorted.
    public let channels: [String]
    public let audiences: [String]
    public let posterior: SlotPosterior
    /// By channel and audience.
    let counts: [SIMD2<Int>]
    /// By channel and audience, then by hour of the week.
    let slotPosts: [[Int]]
    /// In order of time, with their numbers.
    let all: [(post: Post, timed: TimedPost)]

    public func posts(channel: Int, audience: Int) -> Int {
      counts[channel * audiences.count + audience][0]
    }

    /// Those of an hour of the week, in order of time.
    public func postsBehind(channel: Int, audience: Int, slot: Int) -> [Post] {
      all.filter {
        $0.timed.channel == channel && $0.timed.audience == audience && $0.timed.slot == slot
      }.map(\.post)
    }

    public func engagements(channel: Int, audience: Int) -> Int {
      counts[channel * audiences.count + audience][1]
    }

    public func posts(channel: Int, audience: Int, slot: Int) -> Int {
      slotPosts[channel * audiences.count + audience][slot]
    }
  }
}

/// Makes models of posts.
struct TimingFit {
  private let posts: [TimingLearner.SettledPost]
  private let progress: LearningProgress
  private let pending: Int
  private let undrawn: Int
  private let turnedAway: UInt64

  /// Names of a kind that have a number of their own; rarer ones share the last.
  private static let namesMax = 8
  static let others = "(other)"

  init(
    _ posts: [TimingLearner.SettledPost], progress: LearningProgress, pending: Int, undrawn: Int,
    turnedAway: UInt64
  ) {
    self.posts = posts
    self.progress = progress
    self.pending = pending
    self.undrawn = undrawn
    self.turnedAway = turnedAway
  }

  func models() -> TimingModels {
    let sites = Dictionary(grouping: posts, by: \.key.site).mapValues(site)
    return TimingModels(
      progress: progress, sites: sites, pending: pending, undrawn: undrawn, turnedAway: turnedAway)
  }

  private func site(_ posts: [TimingLearner.SettledPost]) -> TimingModels.Site {
    let channels = Self.names(posts.map(\.key.channel))
    let audiences = Self.names(posts.map(\.audience))
    let windows = Self.names(posts.map(\.window))
    func number(_ text: String, _ names: [String]) -> Int {
      names.firstIndex(of: text) ?? names.count - 1
    }
    var counts = [SIMD2<Int>](repeating: .zero, count: channels.count * audiences.count)
    var slotPosts = [[Int]](
      repeating: [Int](repeating: 0, count: WeekSlots.count), count: counts.count)
    let timed = posts.map { post in
      let timed = TimedPost(
        channel: number(post.key.channel, channels), audience: number(post.audience, audiences),
        window: number(post.window, windows), slot: WeekSlots.slot(post.at),
        engagements: Double(post.engagements), exposure: post.reach)
      let pair = timed.channel * audiences.count + timed.audience
      counts[pair] &+= SIMD2(1, post.engagements)
      slotPosts[pair][timed.slot] += 1
      return timed
    }
    let model = SlotModel(
      timed, channels: channels.count, audiences: audiences.count, windows: windows.count)
    return TimingModels.Site(
      channels: channels, audiences: audiences, posterior: model.posterior(), counts: counts,
      slotPosts: slotPosts,
      all: zip(posts, timed).map { post, timed in
        (
          TimingModels.Post(
            content: post.key.content, at: post.at, engagements: post.engagements,
            position: post.position), timed
        )
      })
  }

  /// The commonest ones, sorted, and where there are more one for the others.
  private static func names(_ texts: [String]) -> [String] {
    var counts: [String: Int] = [:]
    for text in texts { counts[text, default: 0] += 1 }
    let order = counts.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
    let common = order.prefix(namesMax).map(\.key).sorted()
    return order.count > namesMax ? common + [others] : common
  }
}
