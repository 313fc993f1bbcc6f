import Events
import Operators
import Views

/// Whose touches are whose: goes through what a scan has kept in the order of the log and says of each touch
/// which person it is of.
///
/// The rules are the pipeline's own, as verify recounts them. A touch is of its user where the event names
/// one, else of the user that its device is linked to, else of the device. A user who signs in takes over the
/// device's sessions but for those that began longer than ``PersonPolicy/takeOver`` before, and what follows
/// until the link ends, is replaced or has not been used for that time. Users that an alias makes one are one
/// person from the beginning. What had left state when it came (``PersonPolicy/keep``) is no longer looked at
/// together with what the other one has: `groups` say so, for attribution. They are two again once nothing of
/// them is in state any more, and the alias is as old; where the pipeline counts exposures, exposed users stay one for
/// as long as it remembers that they are. The limits of the second stage's state are not rebuilt: persons and touches
/// that it had no room for are here. The second stage is a little behind the watermark of an alias, as far as the
/// last frame or heartbeat before: what leaves state in these seconds may be looked at together there alone.
///
/// Streams are taken by log time, of one moment in order of the merge: a device is in one stream of each
/// generation, so that its own events come in their order. Cost: a look-up or two for each record.
struct PersonResolver {
  /// A touch of a scan.
  private struct Held {
    var part: Int32
    var record: UInt32
    /// See ``PersonHistory/groups``.
    var group: UInt32 = 0
  }

  private struct Link {
    var user: Int
    var usedHour: Int64
  }

  /// Users that are one, or one that was.
  private struct Union {
    var users: [Int]
    /// Of the touches that come now.
    var group: UInt32
    /// Of its latest touch.
    var latest = Int64.min
    /// Remembered at least as long, in steps.
    var linkedUntil = Int64.min
  }

  private let parts: [PersonScanPart]
  private let policy: PersonPolicy
  private var ids: [Key128: Int] = [:]
  private var links: [Int: Link] = [:]
  /// By id.
  private var ofDevice: [[Held]] = []
  private var ofUser: [[Held]] = []
  /// Users that an alias has made one, each pointing at the next.
  private var united: [Int: Int] = [:]
  private var unions: [Union] = []
  /// By user, the place of its last one.
  private var unionOf: [Int: Int] = [:]
  private var groups: [[UInt32]] = [[]]
  private var groupNumbers: [[UInt32]: UInt32] = [:]
  private var groupCount: UInt32 = 0

  private static let hour: Int64 = 3_600_000_000

  init(_ parts: [PersonScanPart], _ policy: PersonPolicy) {
    self.parts = parts
    self.policy = policy
    var frames: [(logTime: Int64, part: Int, frame: Int)] = []
    var devices: [[Int]] = []
    var users: [[Int]] = []
    for (part, own) in parts.enumerated() {
      for (frame, moment) in own.frames.enumerated() {
        frames.append((moment.logTime, part, frame))
      }
      devices.append(own.devices.map { id(of: $0) })
      users.append(own.users.map { id(of: $0) })
    }
    ofDevice = Array(repeating: [], count: ids.count)
    ofUser = Array(repeating: [], count: ids.count)
    frames.sort { ($0.logTime, $0.part, $0.frame) < ($1.logTime, $1.part, $1.frame) }
    for entry in frames {
      let part = parts[entry.part]
      let moment = part.frames[entry.frame]
      let isLast = entry.frame + 1 == part.frames.count
      let end = isLast ? part.records.count : part.frames[entry.frame + 1].first
      for index in moment.first..<end {
        let record = part.records[index]
        let device = devices[entry.part][Int(record.device)]
        let user = record.user == 0 ? nil : users[entry.part][Int(record.user) - 1]
        take(
          record, Held(part: Int32(entry.part), record: UInt32(index)), device, user,
          moment.watermark)
      }
    }
  }

  private mutating func id(of key: Key128) -> Int {
    if let id = ids[key] { return id }
    ids[key] = ids.count
    return ids.count - 1
  }

  private func record(_ held: Held) -> PersonScanPart.Record {
    parts[Int(held.part)].records[Int(held.record)]
  }

  private mutating func take(
    _ record: PersonScanPart.Record, _ held: Held, _ device: Int, _ named: Int?, _ watermark: Int64
  ) {
    var user = named
    let hour = watermark / Self.hour
    let oldest = hour - (policy.takeOver / Self.hour + 1)
    let known = links[device].flatMap { $0.usedHour >= oldest ? $0.user : nil }
    if record.kind == EventKind.unlink.rawValue {
      if user == nil || user == known { links[device] = nil }
      return
    }
    if let user, user != device {
      if record.kind == EventKind.alias.rawValue { unite(device, user, watermark) }
      if known != user { takeOver(device, by: user, watermark) }
      links[device] = Link(user: user, usedHour: hour)
    } else if user == nil, let known {
      links[device] = Link(user: known, usedHour: hour)
      user = known
    }
    guard record.marks != 0 else { return }
    if let user {
      var held = held
      held.group = group(of: user, latest: record.time, watermark)
      ofUser[user].append(held)
    } else {
      ofDevice[device].append(held)
    }
  }

  // MARK: Who is who

  private func root(_ user: Int) -> Int {
    var user = user
    while let next = united[user] { user = next }
    return user
  }

  private mutating func addSet(_ set: [UInt32]) -> UInt32 {
    if let number = groupNumbers[set] { return number }
    let number = UInt32(groups.count)
    groups.append(set)
    groupNumbers[set] = number
    return number
  }

  private mutating func unite(_ one: Int, _ other: Int, _ watermark: Int64) {
    let (a, b) = (union(of: one, watermark), union(of: other, watermark))
    let linkedUntil = Self.step(watermark) + policy.keep / Self.stepLength + 1
    if a == b {
      unions[a].linkedUntil = linkedUntil
      return
    }
    var whole = begin(unions[a].users + unions[b].users)
    whole.latest = max(unions[a].latest, unions[b].latest)
    whole.linkedUntil = linkedUntil
    for place in [a, b] { move(unions[place], to: whole.group, watermark) }
    add(whole)
    let (first, second) = (root(one), root(other))
    if first != second { united[first] = second }
  }

  private mutating func begin(_ users: [Int]) -> Union {
    groupCount += 1
    return Union(users: users, group: groupCount)
  }

  private mutating func add(_ union: Union) {
    for user in union.users { unionOf[user] = unions.count }
    unions.append(union)
  }

  /// The place of what a user is part of: of itself alone where it never was one with another.
  private mutating func union(of user: Int, _ watermark: Int64) -> Int {
    if unionOf[user] == nil {
      var own = begin([user])
      let set = addSet([own.group])
      for index in ofUser[user].indices {
        ofUser[user][index].group = set
        own.latest = max(own.latest, record(ofUser[user][index]).time)
      }
      add(own)
    }
    forget(unionOf[user] ?? 0, watermark)
    return unionOf[user] ?? 0
  }

  /// Users are two again once nothing of them is in state.
  private mutating func forget(_ place: Int, _ watermark: Int64) {
    let union = unions[place]
    guard union.users.count > 1, union.linkedUntil < Self.step(watermark),
      union.latest < expiredBefore(watermark)
    else { return }
    for user in union.users { add(begin([user])) }
  }

  /// Of a touch that comes now; 0 of users that never were one with another.
  private mutating func group(of user: Int, latest time: Int64, _ watermark: Int64) -> UInt32 {
    guard unionOf[user] != nil else { return 0 }
    let place = union(of: user, watermark)
    unions[place].latest = max(unions[place].latest, time)
    return addSet([unions[place].group])
  }

  /// Sessions that end earlier have left state.
  private func expiredBefore(_ watermark: Int64) -> Int64 {
    watermark < .min + policy.keep ? .min : Self.step(watermark) * Self.stepLength - policy.keep
  }

  /// Adds the touches that are in state to a group.
  private mutating func move(_ union: Union, to group: UInt32, _ watermark: Int64) {
    func isCurrent(_ held: Held) -> Bool { groups[Int(held.group)].contains(union.group) }
    let times = union.users.flatMap { ofUser[$0] }.filter(isCurrent).map { record($0).time }
      .sorted()
    let expiredBefore = expiredBefore(watermark)
    // Sessions end in order of time.
    var expiredUpTo = Int64.min
    for (index, time) in times.enumerated() {
      let isEnd = index + 1 == times.count || times[index + 1] - time > policy.sessionGap
      if isEnd && time < expiredBefore { expiredUpTo = time }
    }
    for user in union.users {
      for index in ofUser[user].indices {
        let held = ofUser[user][index]
        guard record(held).time > expiredUpTo, isCurrent(held) else { continue }
        ofUser[user][index].group = addSet(groups[Int(held.group)] + [group])
      }
    }
  }

  /// A device's touches become its user's, session by session, but for sessions that began too long ago.
  private mutating func takeOver(_ device: Int, by user: Int, _ watermark: Int64) {
    let own = ofDevice[device]
    if own.isEmpty { return }
    ofDevice[device] = []
    let ordered = own.map { (held: $0, record: record($0)) }.sorted {
      ($0.record.time, $0.record.key) < ($1.record.time, $1.record.key)
    }
    var start = 0
    for index in ordered.indices {
      let time = ordered[index].record.time
      let isEnd =
        index + 1 == ordered.count || ordered[index + 1].record.time - time > policy.sessionGap
      guard isEnd else { continue }
      let isTakenOver =
        Self.step(ordered[start].record.time + policy.takeOver) >= Self.step(watermark)
      for entry in ordered[start...index] {
        var held = entry.held
        if isTakenOver {
          held.group = group(of: user, latest: entry.record.time, watermark)
          ofUser[user].append(held)
        } else {
          ofDevice[device].append(held)
        }
      }
      start = index + 1
    }
  }

  private static let stepLength: Int64 = 10_000_000

  /// The ten seconds in which the pipeline looks at what is over.
  private static func step(_ time: Int64) -> Int64 {
    time / stepLength - (time % stepLength < 0 ? 1 : 0)
  }

  // MARK: Histories

  /// - Parameters:
  ///   - names: by part and number, what a touch's value and currency are called in histories.
  ///   - lists: see ``PersonHistory/lists``.
  ///   - body: gets every person's history, in no fixed order; nothing of persons with too many touches.
  func forEach(
    _ names: [(values: [UInt32], currencies: [UInt32])], lists: [[UInt32]], touchesMax: Int,
    _ body: (PersonHistory?) -> Void
  ) {
    var people: [Int: [Int]] = [:]
    for user in ofUser.indices where !ofUser[user].isEmpty {
      people[root(user), default: []].append(user)
    }
    func tell(_ held: [Held]) {
      guard held.count <= touchesMax else { return body(nil) }
      let touches = held.map { held in
        let record = record(held)
        let names = names[Int(held.part)]
        return PersonTouch(
          time: record.time, key: record.key, marks: record.marks,
          value: names.values[Int(record.value)], revenueMicros: record.revenueMicros,
          currency: names.currencies[Int(record.currency)], group: held.group)
      }
      body(PersonHistory(touches, groups: groups, lists: lists))
    }
    for users in people.values { tell(users.flatMap { ofUser[$0] }) }
    for held in ofDevice where !held.isEmpty { tell(held) }
  }
}
