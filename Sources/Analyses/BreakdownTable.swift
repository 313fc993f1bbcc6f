import Events
import Views

/// The groups of a ``Breakdown`` and what was counted in them.
///
/// Values of a frame's dictionaries (tuples, agents, names) are looked up once a frame; payloads are looked through
/// only for what is asked for. Cost per event: some 50 ns in frames of 500 with as many tuples, and what it takes to
/// look through a payload (``PayloadSkimmer``); about 100 bytes a group, 16 KB with uniques.
struct BreakdownTable: ~Copyable {
  let question: BreakdownQuestion
  private let site: [UInt8]
  /// Kinds without a metric count too.
  private let countsEveryKind: Bool
  private let needs: Needs

  var tuples: GroupValues
  var agents: GroupValues
  var names: GroupValues
  var payloads: GroupValues
  var currencies = TextTable(countMax: Int(GroupKey.otherCurrency))
  let segments: SegmentHistory
  /// By set of segments, whether filters let it pass, and the bits of the alternatives that it holds.
  private let segmentPasses: [Bool]
  private let segmentHeld: [UInt64]
  private var hours: HourOfWeek
  private var reader: PayloadValues

  private(set) var groups = GroupIndex()
  private(set) var counts: [Counts] = []
  private(set) var events: [Int64] = []
  private(set) var sketches: GroupSketches
  /// In the order of the question's.
  let tops: [TopColumn]
  /// Groups of `(other)` are not among the bounded ones.
  private var otherGroupCount = 0

  private var knownTuples = KeyCache(countMax: 1 << 17)
  private var knownAgents = KeyCache(countMax: 1 << 14)
  private var knownNames = KeyCache(countMax: 1 << 14)
  /// Of the present frame's dictionaries.
  private var tupleKeys: [UInt64] = []
  private var agentKeys: [UInt64] = []
  private var nameKeys: [UInt64] = []

  /// In the place of a key: not looked up yet; kept out by a filter, or of another site.
  private static let unknown = UInt64.max
  private static let filtered = UInt64.max - 1

  /// Above the number of a part's values, and the currency, are the bits of the alternatives that hold for them.
  private static let heldShift: UInt64 = 40
  /// The bits of all alternatives.
  private let alternatives: UInt64

  /// What of an event has a say.
  private struct Needs {
    let agent, name, payload, segment, segmentGroups, hourGroups, numbers, uniques: Bool

    init(_ question: BreakdownQuestion) {
      agent = question.needs(.agent)
      name = question.needs(.name)
      segment = question.needsSegments
      segmentGroups = !question.grouped(by: .segment).isEmpty
      hourGroups = !question.grouped(by: .time).isEmpty
      numbers = !question.measures.isDisjoint(with: [.dwell, .scroll])
      uniques = question.measures.contains(.uniques)
      payload =
        question.needs(.payload) || numbers || question.tops.contains { $0.part == .payload }
    }
  }

  init(_ question: BreakdownQuestion, _ segments: SegmentHistory) {
    self.question = question
    self.segments = segments
    segmentPasses = segments.passes(question.filters(on: .segment))
    segmentHeld = segments.held(question.alternatives(on: .segment))
    alternatives = 1 << UInt64(question.alternatives.count) - 1
    site = Array(question.site.utf8)
    needs = Needs(question)
    countsEveryKind = question.measures.contains(.everyKind) || question.needs(.name)
    tuples = GroupValues(question, .tuple, countMax: 1 << 20)
    agents = GroupValues(question, .agent, countMax: Int(GroupKey.otherAgent))
    names = GroupValues(question, .name, countMax: Int(GroupKey.otherName))
    payloads = GroupValues(question, .payload, countMax: 1 << 17)
    hours = HourOfWeek(
      isNeeded: question.needs(.time), offsets: question.offsets,
      filters: question.filters(on: .time), alternatives: question.alternatives(on: .time))
    reader = PayloadValues(for: question)
    sketches = GroupSketches(question)
    tops = question.tops.map { TopColumn($0, segments) }
  }

  // MARK: Counting

  mutating func add(_ frame: FrameView, _ counted: borrowing CountedEvents) {
    lookUpTuples(of: frame)
    for top in tops { top.begin(frame) }
    if needs.agent { Self.forget(&agentKeys, count: frame.labelCount + 1) }
    if needs.name { Self.forget(&nameKeys, count: frame.labelCount) }
    var bucket = TimeBucket()
    var last = (key: GroupKey.none, group: -1)
    let kindMax =
      countsEveryKind || needs.numbers ? UInt8.max : EventKind.conversion.rawValue
    for number in 0..<counted.count {
      let index = counted.index(number)
      let kind = frame.kind(index)
      if kind > kindMax { continue }
      let tuple = tupleKeys[frame.tuple(index)]
      if tuple == Self.filtered { continue }
      let agent = needs.agent ? agentKey(frame, index) : 0
      if agent == Self.filtered { continue }
      let name = needs.name ? nameKey(frame, index) : 0
      if name == Self.filtered { continue }
      let time = counted.time(number)
      let hour = hours.isNeeded ? hours.number(at: time) : 0
      if hour == HourOfWeek.filtered { continue }
      if !bucket.contains(time) { bucket = TimeBucket(of: time, in: question.buckets) }
      let set = needs.segment ? segments.set(of: frame, index, at: time) : 0
      if needs.segment && !segmentPasses[set] { continue }
      let payload = needs.payload ? payloadKey(frame, index) : 0
      if payload == Self.filtered { continue }
      if alternatives != 0 {
        let held = (tuple | agent | name | payload) >> Self.heldShift | segmentHeld[set]
        if (held | hours.held) & alternatives != alternatives { continue }
      }
      let isCounted = countsEveryKind || kind <= EventKind.conversion.rawValue
      // What has neither a kind that counts nor a number leaves no trace.
      if !isCounted && !hasNumber(frame.payload(index)) { continue }
      let key = GroupKey(
        tuple: tuple & GroupKey.other, payload: payload & GroupKey.other, segment: 0,
        bucket: bucket.number, hour: needs.hourGroups ? hour : 0,
        currency: tuple >> 32 & GroupKey.otherCurrency,
        agent: agent & GroupKey.otherAgent, name: name & GroupKey.otherName)
      if set != 0 && needs.segmentGroups {
        for segment in segments.sets[set] {
          let group = group(GroupKey(key, segment: UInt64(segment) + 1))
          count(frame, index, set, in: group, isCounted)
        }
        continue
      }
      if key != last.key { last = (key, group(key)) }
      count(frame, index, set, in: last.group, isCounted)
    }
  }

  @inline(__always)
  private mutating func count(
    _ frame: FrameView, _ index: Int, _ set: Int, in group: Int, _ isCounted: Bool
  ) {
    if isCounted {
      counts[group].add(kind: frame.kind(index), revenueMicros: frame.revenueMicros(index))
      events[group] &+= 1
    }
    if sketches.isNeeded { sketch(frame, index, set, group, isCounted) }
  }

  /// The number of the group of a key, or of the one for `(other)`.
  @inline(__always)
  private mutating func group(_ key: GroupKey) -> Int {
    let key = key.hasOther ? key.ofOthers : key
    let known = groups.find(key)
    return known >= 0 ? known : addGroup(key)
  }

  @inline(never)
  private mutating func addGroup(_ wanted: GroupKey) -> Int {
    var key = wanted
    if !key.isOfOthers, groups.count - otherGroupCount >= question.groupCountMax {
      key = key.ofOthers
      let known = groups.find(key)
      if known >= 0 { return known }
    }
    if key.isOfOthers { otherGroupCount += 1 }
    counts.append(Counts())
    events.append(0)
    sketches.addGroup()
    return groups.add(key)
  }

  private mutating func sketch(
    _ frame: FrameView, _ index: Int, _ set: Int, _ group: Int, _ isCounted: Bool
  ) {
    if isCounted {
      if needs.uniques { sketches.insert(person: frame.person(index), in: group) }
      for place in tops.indices {
        tops[place].find(in: frame, index, set, &reader)
        for id in tops[place].ids { sketches.insert(id, top: place, in: group) }
      }
    }
    guard needs.numbers else { return }
    let payload = frame.payload(index)
    if sketches.measures.contains(.dwell), let seconds = reader.dwell(payload) {
      sketches.insert(dwell: seconds, in: group)
    }
    if sketches.measures.contains(.scroll), let percent = reader.scroll(payload) {
      sketches.insert(scroll: percent, in: group)
    }
  }

  private func hasNumber(_ payload: UnsafeRawBufferPointer) -> Bool {
    reader.dwell(payload) != nil || reader.scroll(payload) != nil
  }

  // MARK: Values

  private mutating func lookUpTuples(of frame: FrameView) {
    tupleKeys.removeAll(keepingCapacity: true)
    for index in 0..<frame.tupleCount {
      let bytes = frame.tupleBytes(index)
      if let known = knownTuples.find(bytes) {
        tupleKeys.append(known)
      } else {
        let key = tupleKey(TupleFields(bytes))
        knownTuples.set(key)
        tupleKeys.append(key)
      }
    }
  }

  /// The number of the values, and that of the currency above it.
  private mutating func tupleKey(_ fields: TupleFields) -> UInt64 {
    var fields = fields
    guard fields.isValid, fields[.site].elementsEqual(site) else { return Self.filtered }
    let found = tuples.find(in: &fields) { $2.append(contentsOf: $0.value(of: $1)) }
    let currency = currencies.intern(fields[.currency]).map(UInt64.init) ?? GroupKey.otherCurrency
    return key(found, full: GroupKey.other, currency: currency)
  }

  @inline(__always)
  private func key(
    _ found: GroupValues.Found, full: UInt64, currency: UInt64 = 0
  ) -> UInt64 {
    switch found {
    case .filtered: Self.filtered
    case .number(let number, let held):
      (number ?? full) | currency << 32 | held << Self.heldShift
    }
  }

  private static func forget(_ keys: inout [UInt64], count: Int) {
    keys.removeAll(keepingCapacity: true)
    keys.append(contentsOf: repeatElement(unknown, count: count))
  }

  @inline(__always)
  private mutating func agentKey(_ frame: FrameView, _ index: Int) -> UInt64 {
    let label = frame.agentLabel(index)
    let known = agentKeys[label + 1]
    return known != Self.unknown ? known : lookUpAgent(frame, label)
  }

  @inline(never)
  private mutating func lookUpAgent(_ frame: FrameView, _ label: Int) -> UInt64 {
    let bytes = label < 0 ? UnsafeRawBufferPointer(start: nil, count: 0) : frame.label(label)
    if let known = knownAgents.find(bytes) {
      agentKeys[label + 1] = known
      return known
    }
    var agent = Agent(label: String(decoding: bytes, as: UTF8.self))
    let found = agents.find(in: &agent) { agent, dimension, output in
      guard let agent else { return }
      switch dimension {
      case .device: output.append(contentsOf: agent.device.rawValue.utf8)
      case .browser: output.append(contentsOf: agent.browser.utf8)
      default: output.append(contentsOf: agent.system.utf8)
      }
    }
    let key = key(found, full: GroupKey.otherAgent)
    knownAgents.set(key)
    agentKeys[label + 1] = key
    return key
  }

  @inline(__always)
  private mutating func nameKey(_ frame: FrameView, _ index: Int) -> UInt64 {
    let label = frame.nameLabel(index)
    let known = nameKeys[label]
    return known != Self.unknown ? known : lookUpName(frame, label)
  }

  @inline(never)
  private mutating func lookUpName(_ frame: FrameView, _ label: Int) -> UInt64 {
    var bytes = frame.label(label)
    if let known = knownNames.find(bytes) {
      nameKeys[label] = known
      return known
    }
    let found = names.find(in: &bytes) { $2.append(contentsOf: $0) }
    let key = key(found, full: GroupKey.otherName)
    knownNames.set(key)
    nameKeys[label] = key
    return key
  }

  @inline(__always)
  private mutating func payloadKey(_ frame: FrameView, _ index: Int) -> UInt64 {
    let payload = frame.payload(index)
    reader.read(payload, kind: frame.kind(index))
    let found = payloads.find(in: &reader) { $0.append($1, of: payload, to: &$2) }
    return key(found, full: GroupKey.other)
  }

  // MARK: Merging

  /// Takes in what another table has of other streams.
  mutating func merge(_ other: borrowing BreakdownTable) {
    let tuples = tuples.takeOver(other.tuples, full: GroupKey.other)
    let payloads = payloads.takeOver(other.payloads, full: GroupKey.other)
    let agents = agents.takeOver(other.agents, full: GroupKey.otherAgent)
    let names = names.takeOver(other.names, full: GroupKey.otherName)
    let currencies = (0..<other.currencies.count).map { number in
      other.currencies.text(number).withUnsafeBytes { text in
        self.currencies.intern(text).map(UInt64.init) ?? GroupKey.otherCurrency
      }
    }
    for place in tops.indices { tops[place].merge(other.tops[place]) }
    for (theirs, key) in other.groups.keys.enumerated() {
      let currency =
        key.currency == GroupKey.otherCurrency ? key.currency : currencies[Int(key.currency)]
      var mine = key
      if key.isOfOthers {
        mine = GroupKey(key, currency: currency)
      } else {
        mine = GroupKey(
          tuple: tuples.isEmpty ? 0 : tuples[Int(key.tuple)],
          payload: payloads.isEmpty ? 0 : payloads[Int(key.payload)], segment: key.segment,
          bucket: key.bucket, hour: key.hour, currency: currency,
          agent: agents.isEmpty ? 0 : agents[Int(key.agent)],
          name: names.isEmpty ? 0 : names[Int(key.name)])
      }
      let group = group(mine)
      counts[group] += other.counts[theirs]
      events[group] += other.events[theirs]
      sketches.merge(other.sketches, theirs, into: group)
    }
  }

  var otherShare: Double {
    var others: Int64 = 0
    for (group, key) in groups.keys.enumerated() where key.isOfOthers { others += events[group] }
    let all = events.reduce(0, +)
    return all == 0 ? 0 : Double(others) / Double(all)
  }
}
